"""ControlNets of Stable Diffusion: depth, edges or poses, for calls that have such a picture.

They know nothing of the hole. A ControlNet sees the four channels of the noise, whatever else
the denoiser is given: an inpainting checkpoint's nine channels or the four of a plain one. The
model is loaded into the pipeline with a place for it; calls without a control picture are made
by the family's own pipeline, of the same parts.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from genai_fill_contract.engine import EngineOption, OptionType
from genai_fill_contract.errors import ModelLoadFailed
from genai_fill_contract.plate import InputRole
from genai_fill_server.engines.diffusers.cards import ModelCard
from genai_fill_server.engines.diffusers.families.controlnets import (
    PART,
    controlnet_part,
    part_path,
)
from genai_fill_server.engines.diffusers.family import Family, Picture
from genai_fill_server.engines.diffusers.folder import ModelFolder, read_config
from genai_fill_server.engines.diffusers.options import Options

NETWORK = "ControlNetModel"
_SAME = ("cross_attention_dim", "block_out_channels", "layers_per_block")
_PICTURE_CHANNELS = 3


def steering_options() -> tuple[EngineOption, ...]:
    """Return the options for how strongly, from when and until when the picture steers."""
    return (
        EngineOption(
            "control_strength",
            "Control strength",
            OptionType.FLOAT,
            1.0,
            "How strongly the control picture (depth, edges, pose) steers the layout. It has no "
            "effect without one.",
            minimum=0.0,
            maximum=2.0,
            step=0.05,
        ),
        _share("control_start", "Control start", 0.0, "from where on"),
        _share("control_end", "Control end", 1.0, "up to where"),
    )


def _share(name: str, label: str, default: float, when: str) -> EngineOption:
    return EngineOption(
        name,
        label,
        OptionType.FLOAT,
        default,
        f"Of the way from noise (0) to picture (1), {when} the control picture steers. Layout "
        "is made early, texture late. Where the end is not after the start, nothing steers.",
        minimum=0.0,
        maximum=1.0,
        step=0.05,
        advanced=True,
    )


def is_steered(picture: Picture, options: Options) -> bool:
    """Whether a control picture has any say in the call."""
    start, end = steered_steps(options)
    return picture.control is not None and float(options["control_strength"]) > 0 and start < end


def steering_arguments(picture: Picture, options: Options) -> dict[str, Any]:
    """Return what a steered call takes beside the rest; the picture as it is, 0 to 1."""
    if not is_steered(picture, options):
        return {}
    start, end = steered_steps(options)
    return {
        "control_image": picture.control,
        "controlnet_conditioning_scale": float(options["control_strength"]),
        "control_guidance_start": start,
        "control_guidance_end": end,
    }


def steered_steps(options: Options) -> tuple[float, float]:
    """Return start and end as shares of the steps that the call makes.

    The options are shares of the whole way. A call that starts late (a tile of the detail pass)
    makes only its end, while its pipeline counts from its own first step.
    """
    steps = int(options["steps"])
    made = max(1, min(steps, int(steps * float(options["strength"])))) / steps
    start, end = (
        min(1.0, max(0.0, 1.0 - (1.0 - float(options[name])) / made))
        for name in ("control_start", "control_end")
    )
    return start, end


def network_part(folder: ModelFolder, card: ModelCard, dtype: Any) -> dict[str, Any]:
    """Return the ControlNet as an argument for ``from_pretrained``, once it is one that fits.

    Raises `ModelUnsafe`, `ModelMissing` or `ModelLoadFailed`.
    """
    inside = PART in folder.components
    _check_fits(folder, folder.path / PART if inside else part_path(folder, card.controlnet))
    return controlnet_part(folder, card, NETWORK, dtype)


def _check_fits(folder: ModelFolder, path: Path) -> None:
    if path.is_file():
        raise _does_not_fit(path, "one file without a configuration")
    config = read_config(folder, str(path))  # an absolute path stands for itself
    unet = read_config(folder, "unet")
    if config.get("_class_name") != NETWORK:
        raise _does_not_fit(path, f"a {config.get('_class_name')!r}, not a {NETWORK}")
    if config.get("conditioning_channels", _PICTURE_CHANNELS) != _PICTURE_CHANNELS:
        raise _does_not_fit(path, "made for pictures that are not RGB")
    if config.get("in_channels", 4) != unet.get("out_channels", 4):
        raise _does_not_fit(path, "made for latents of another kind")
    if config.get("addition_embed_type") != unet.get("addition_embed_type"):
        raise _does_not_fit(path, "made for another version of Stable Diffusion")
    for key in _SAME:
        of_both = [each[key] for each in (config, unet) if each.get(key) is not None]
        if len(of_both) == 2 and of_both[0] != of_both[1]:
            raise _does_not_fit(
                path, f"made for another model ({key} {of_both[0]}, not {of_both[1]})"
            )


def _does_not_fit(path: Path, what: str) -> ModelLoadFailed:
    return ModelLoadFailed(
        f"The ControlNet {path} is {what}.",
        hint="Name a ControlNet folder in diffusers layout, for depth, edges or poses, that was "
        "made for the same version of Stable Diffusion as the model.",
        path=str(path),
    )


def unsteered(pipe: Any, pipeline: str, **settings: Any) -> Any:
    """Return the pipeline of class ``pipeline`` with the parts of ``pipe``, not copies of them.

    Made for one call. What ``pipe`` does to free the device after a call is done for it, too.
    """
    parts = {name: part for name, part in pipe.components.items() if name != PART}
    other = getattr(importlib.import_module("diffusers"), pipeline)(**parts, **settings)
    other.set_progress_bar_config(disable=True)
    other.maybe_free_model_hooks = pipe.maybe_free_model_hooks
    return other


class Steered(Family):
    """A family with a ControlNet: what ``plain`` is, steered where there is a control picture.

    Stands before the plain family's class among the bases, which gives all the rest.
    """

    plain: Family
    inputs = (InputRole.CONTROL,)
    controlnet = None

    def plain_settings(self, pipe: Any) -> dict[str, Any]:
        """Return what the plain pipeline is made with beside the parts of ``pipe``."""
        del pipe
        return {}

    def options(self, card: ModelCard) -> tuple[EngineOption, ...]:
        """Return the family's options and how the control picture steers."""
        return (*self.plain.options(card), *steering_options())

    def parts(self, folder: ModelFolder, card: ModelCard, dtype: Any) -> dict[str, Any]:
        """Bring the ControlNet along where the folder has none of its own."""
        return {**self.plain.parts(folder, card, dtype), **network_part(folder, card, dtype)}

    def arguments(self, pipe: Any, picture: Picture, options: Options) -> dict[str, Any]:
        """Return the call's arguments, with the control picture if there is one."""
        return {
            **self.plain.arguments(pipe, picture, options),
            **steering_arguments(picture, options),
        }

    def pipe_for(self, pipe: Any, picture: Picture, options: Options) -> Any:
        """Return the pipeline without a ControlNet where nothing steers."""
        if is_steered(picture, options):
            return pipe
        return unsteered(pipe, self.plain.pipeline, **self.plain_settings(pipe))
