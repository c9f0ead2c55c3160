"""Qwen-Image, alone or with ControlNets: the one that is told of the hole, the one for structure.

Both are of one class and published by InstantX: *Inpainting* is the first (a card's
``controlnet``), *Union* the second (``structure``: depth, edges, pose). They go together.
"""

from __future__ import annotations

from typing import Any

from genai_fill_contract.engine import EngineOption
from genai_fill_contract.errors import ModelLoadFailed
from genai_fill_contract.plate import InputRole
from genai_fill_server.engines.diffusers.cards import ModelCard
from genai_fill_server.engines.diffusers.families.controlnets import (
    control_strength_option,
    controlnet_part,
    load_part,
    normalised,
    part_path,
)
from genai_fill_server.engines.diffusers.families.late_start import late_start, starts_late
from genai_fill_server.engines.diffusers.families.seeing import latent_tokens
from genai_fill_server.engines.diffusers.families.structure import (
    STRENGTH,
    add_structure,
    steer,
    structure_strength_option,
)
from genai_fill_server.engines.diffusers.family import (
    Family,
    Picture,
    TextEncoderLimit,
    picture_arguments,
)
from genai_fill_server.engines.diffusers.folder import ModelFolder
from genai_fill_server.engines.diffusers.options import (
    Options,
    detail_option,
    guidance_option,
    hole_content_option,
    noise_option,
    steps_option,
    strength_option,
)

MAX_PROMPT_TOKENS = 1024


class QwenImageControlNet(Family):
    """Qwen-Image with a ControlNet that is told of the hole."""

    name = "qwen-image-controlnet"
    label = "Qwen-Image with ControlNet"
    pipeline = "QwenImageControlNetInpaintPipeline"
    accepts = frozenset({"QwenImageControlNetInpaintPipeline"})
    # Its pipeline samples the plate's encoding from one generator for all takes.
    makes_takes_at_once = False
    native_px = 1328
    help = "Large and precise, good at writing; needs a card of 48 GB or more."

    def options(self, card: ModelCard) -> tuple[EngineOption, ...]:
        """Return the family's options."""
        del card
        return (
            steps_option(30),
            guidance_option(4.0),
            control_strength_option(1.0),
            detail_option(),
            noise_option(),
        )

    def parts(self, folder: ModelFolder, card: ModelCard, dtype: Any) -> dict[str, Any]:
        """Bring the ControlNet along where the folder has none of its own."""
        return controlnet_part(folder, card, "QwenImageControlNetModel", dtype)

    def limits(self, pipe: Any) -> tuple[TextEncoderLimit, ...]:
        """One Qwen2.5-VL encoder behind a template."""
        return _limits(pipe)

    def encode(self, pipe: Any, prompt: str, negative: str, options: Options) -> dict[str, Any]:
        """Return the embeddings of the prompt and, under guidance, of its negative."""
        return _encode(pipe, prompt, negative if self.is_guided(options) else None)

    def arguments(self, pipe: Any, picture: Picture, options: Options) -> dict[str, Any]:
        """Return the call's arguments. Tensors are taken as they are, so from -1 to 1."""
        del pipe
        return {
            "control_image": normalised(picture.image),
            "control_mask": picture.hole,
            "height": picture.height,
            "width": picture.width,
            "num_inference_steps": int(options["steps"]),
            "true_cfg_scale": float(options["guidance"]),
            "controlnet_conditioning_scale": float(options["control_strength"]),
            "max_sequence_length": MAX_PROMPT_TOKENS,
        }

    def start(
        self, pipe: Any, picture: Picture, options: Options, generator: Any
    ) -> dict[str, Any]:
        """Return a late start for the tiles of the detail pass."""
        if not starts_late(options):
            return {}
        tokens, _ = latent_tokens(pipe, picture.image)
        return late_start(pipe, tokens, tokens.shape[1], options, generator)


class QwenImageControlNetStructured(QwenImageControlNet):
    """Told of the hole and of the structure."""

    label = "Qwen-Image with ControlNets"
    inputs = (InputRole.CONTROL,)
    structured = None

    def options(self, card: ModelCard) -> tuple[EngineOption, ...]:
        """Return the family's options and how strongly the control picture steers."""
        return (*super().options(card), structure_strength_option())

    def complete(self, pipe: Any, folder: ModelFolder, card: ModelCard, dtype: Any) -> None:
        """Add the ControlNet that the card names."""
        _add_structure(pipe, folder, card, dtype)

    def arguments(self, pipe: Any, picture: Picture, options: Options) -> dict[str, Any]:
        """Return the call's arguments, steered by the control picture if there is one."""
        _steer(pipe, picture, options)
        return super().arguments(pipe, picture, options)


class QwenImage(Family):
    """Qwen-Image on its own: fills by blending latents."""

    name = "qwen-image"
    label = "Qwen-Image"
    pipeline = "QwenImageInpaintPipeline"
    accepts = frozenset({"QwenImagePipeline", "QwenImageInpaintPipeline"})
    controlnet = QwenImageControlNet()
    native_px = 1328
    help = QwenImageControlNet.help

    def options(self, card: ModelCard) -> tuple[EngineOption, ...]:
        """Return the family's options."""
        del card
        return (
            steps_option(50),
            guidance_option(4.0),
            strength_option(1.0),
            hole_content_option(),
            detail_option(),
            noise_option(),
        )

    def limits(self, pipe: Any) -> tuple[TextEncoderLimit, ...]:
        """One Qwen2.5-VL encoder behind a template."""
        return _limits(pipe)

    def encode(self, pipe: Any, prompt: str, negative: str, options: Options) -> dict[str, Any]:
        """Return the embeddings of the prompt and, under guidance, of its negative."""
        return _encode(pipe, prompt, negative if self.is_guided(options) else None)

    def arguments(self, pipe: Any, picture: Picture, options: Options) -> dict[str, Any]:
        """Return the call's arguments.

        Left to itself the call reads 512 of the 1024 tokens that were encoded.
        """
        del pipe
        return {
            **picture_arguments(picture, options),
            "true_cfg_scale": float(options["guidance"]),
            "max_sequence_length": MAX_PROMPT_TOKENS,
        }


class QwenImageStructured(QwenImage):
    """Fills by blending latents, told of the structure."""

    label = "Qwen-Image with depth and edges"
    inputs = (InputRole.CONTROL,)
    structured = None

    def options(self, card: ModelCard) -> tuple[EngineOption, ...]:
        """Return the family's options and how strongly the control picture steers."""
        return (*super().options(card), structure_strength_option())

    def complete(self, pipe: Any, folder: ModelFolder, card: ModelCard, dtype: Any) -> None:
        """Add the ControlNet that the card names."""
        _add_structure(pipe, folder, card, dtype)

    def arguments(self, pipe: Any, picture: Picture, options: Options) -> dict[str, Any]:
        """Return the call's arguments, steered by the control picture if there is one."""
        _steer(pipe, picture, options)
        return super().arguments(pipe, picture, options)


QwenImage.structured = QwenImageStructured()
QwenImageControlNet.structured = QwenImageControlNetStructured()


def _add_structure(pipe: Any, folder: ModelFolder, card: ModelCard, dtype: Any) -> None:
    path = part_path(folder, card.structure)
    network = load_part(path, "QwenImageControlNetModel", dtype)
    if network.config.extra_condition_channels:
        raise ModelLoadFailed(
            f"{path} is a ControlNet that is told of the hole, not one for structure.",
            hint="Name it as 'controlnet' in the model's card.",
            path=str(path),
        )
    add_structure(pipe, network)


def _steer(pipe: Any, picture: Picture, options: Options) -> None:
    tokens = None if picture.control is None else latent_tokens(pipe, picture.control)[0]
    steer(pipe, tokens, float(options[STRENGTH]))


def _limits(pipe: Any) -> tuple[TextEncoderLimit, ...]:
    template = len(pipe.tokenizer(pipe.prompt_template_encode.format(""))["input_ids"])
    limit = MAX_PROMPT_TOKENS + int(pipe.prompt_template_encode_start_idx)
    return (TextEncoderLimit("Qwen2.5-VL", pipe.tokenizer, limit, template),)


def _encode(pipe: Any, prompt: str, negative: str | None) -> dict[str, Any]:
    positive, mask = pipe.encode_prompt(prompt, max_sequence_length=MAX_PROMPT_TOKENS)
    arguments = {"prompt_embeds": positive, "prompt_embeds_mask": mask}
    if negative is not None:
        # An empty negative has no token of its own but the template's, which is enough.
        negated, negated_mask = pipe.encode_prompt(
            negative or " ", max_sequence_length=MAX_PROMPT_TOKENS
        )
        arguments["negative_prompt_embeds"] = negated
        arguments["negative_prompt_embeds_mask"] = negated_mask
    return arguments
