"""Z-Image and Z-Image Turbo, alone or with the Fun ControlNet's inpaint mode."""

from __future__ import annotations

import importlib
from typing import Any

from genai_fill_contract.engine import EngineOption
from genai_fill_contract.plate import InputRole
from genai_fill_server.engines.diffusers.cards import ModelCard
from genai_fill_server.engines.diffusers.families.controlnets import (
    PART,
    control_strength_option,
    load_part,
    normalised,
    part_path,
)
from genai_fill_server.engines.diffusers.families.late_start import late_start, starts_late
from genai_fill_server.engines.diffusers.families.z_image_control import (
    load_single_file,
    single_file,
)
from genai_fill_server.engines.diffusers.family import (
    Family,
    Picture,
    TextEncoderLimit,
    chat_tokens,
    picture_arguments,
)
from genai_fill_server.engines.diffusers.folder import ModelFolder, read_config
from genai_fill_server.engines.diffusers.options import (
    Options,
    detail_option,
    guidance_option,
    hole_content_option,
    noise_option,
    steps_option,
    strength_option,
)

MAX_PROMPT_TOKENS = 512
NO_CONTROL = -8.0
"""A control picture of just this value stands for none; no picture has it."""


class ZImageControlNet(Family):
    """Z-Image with the Fun ControlNet Union 2.x, which is told of the hole.

    The ControlNet also takes a control picture (pose, depth, edges). Without one it was
    trained on zero latents, which no picture encodes to; see `adapt`.
    """

    name = "z-image-controlnet"
    label = "Z-Image with ControlNet"
    pipeline = "ZImageControlNetInpaintPipeline"
    accepts = frozenset({"ZImageControlNetInpaintPipeline"})
    inputs = (InputRole.CONTROL,)
    help = "A mask-aware model of about one megapixel that reads long prompts."

    def options(self, card: ModelCard) -> tuple[EngineOption, ...]:
        """Return the family's options; Turbo has no guidance."""
        return (
            *_steps_and_guidance(card),
            control_strength_option(0.75),
            detail_option(),
            noise_option(),
        )

    def parts(self, folder: ModelFolder, card: ModelCard, dtype: Any) -> dict[str, Any]:
        """Bring the ControlNet along where the folder has none of its own: a file or a folder."""
        if PART in folder.components:
            return {}
        path = part_path(folder, card.controlnet)
        file = single_file(path)
        if file is None:
            return {PART: load_part(path, "ZImageControlNetModel", dtype)}
        return {PART: load_single_file(file, read_config(folder, "transformer"), dtype)}

    def adapt(self, pipe: Any) -> None:
        """Let a call go without a control picture, and the ControlNet run in half precision."""
        _encode_no_control_to_zero(pipe.vae)
        # The control latents come as precise as the VAE is, which is more than the rest.
        pipe.controlnet.register_forward_pre_hook(_control_in_own_precision)

    def limits(self, pipe: Any) -> tuple[TextEncoderLimit, ...]:
        """One Qwen3 encoder behind a chat template."""
        return _limits(pipe)

    def is_guided(self, options: Options) -> bool:
        """Its guidance starts at 0, not at 1."""
        return _is_guided(options)

    def encode(self, pipe: Any, prompt: str, negative: str, options: Options) -> dict[str, Any]:
        """Return the embeddings of the prompt and, under guidance, of its negative."""
        return _encode(pipe, prompt, negative, options)

    def arguments(self, pipe: Any, picture: Picture, options: Options) -> dict[str, Any]:
        """Return the call's arguments. Tensors are taken as they are, so from -1 to 1."""
        del pipe
        image = normalised(picture.image)
        control = image.new_full(image.shape, NO_CONTROL)
        if picture.control is not None:
            control = normalised(picture.control)
        return {
            "image": image,
            "mask_image": picture.hole,
            "control_image": control,
            "height": picture.height,
            "width": picture.width,
            "num_inference_steps": int(options["steps"]),
            "guidance_scale": float(options.get("guidance", 0.0)),
            "controlnet_conditioning_scale": float(options["control_strength"]),
        }

    def start(
        self, pipe: Any, picture: Picture, options: Options, generator: Any
    ) -> dict[str, Any]:
        """Return a late start for the tiles of the detail pass."""
        if not starts_late(options):
            return {}
        torch, config = importlib.import_module("torch"), pipe.vae.config
        with torch.no_grad():
            image = normalised(picture.image).to(pipe._execution_device)
            latents = pipe.vae.encode(image).latent_dist.mode()
        clean = (latents - config.shift_factor) * config.scaling_factor
        tokens = (clean.shape[-2] // 2) * (clean.shape[-1] // 2)
        return late_start(pipe, clean, tokens, options, generator)


class ZImage(Family):
    """Z-Image on its own: fills by blending latents."""

    name = "z-image"
    label = "Z-Image"
    pipeline = "ZImageInpaintPipeline"
    accepts = frozenset({"ZImagePipeline", "ZImageInpaintPipeline"})
    controlnet = ZImageControlNet()
    help = "About one megapixel, reads long prompts; better with its ControlNet."

    def options(self, card: ModelCard) -> tuple[EngineOption, ...]:
        """Return the family's options; Turbo has no guidance."""
        return (
            *_steps_and_guidance(card),
            strength_option(1.0),
            hole_content_option(),
            detail_option(),
            noise_option(),
        )

    def limits(self, pipe: Any) -> tuple[TextEncoderLimit, ...]:
        """One Qwen3 encoder behind a chat template."""
        return _limits(pipe)

    def is_guided(self, options: Options) -> bool:
        """Its guidance starts at 0, not at 1."""
        return _is_guided(options)

    def encode(self, pipe: Any, prompt: str, negative: str, options: Options) -> dict[str, Any]:
        """Return the embeddings of the prompt and, under guidance, of its negative."""
        return _encode(pipe, prompt, negative, options)

    def arguments(self, pipe: Any, picture: Picture, options: Options) -> dict[str, Any]:
        """Return the call's arguments."""
        del pipe
        return {
            **picture_arguments(picture, options),
            "guidance_scale": float(options.get("guidance", 0.0)),
        }


def _steps_and_guidance(card: ModelCard) -> tuple[EngineOption, ...]:
    if card.distilled:
        return (steps_option(9),)
    help_text = (
        "How closely the result keeps to the prompt. 0 is none: the negative prompt then has "
        "no effect and a step takes half the time."
    )
    return (steps_option(50), guidance_option(5.0, help_text))


def _limits(pipe: Any) -> tuple[TextEncoderLimit, ...]:
    template = chat_tokens(pipe.tokenizer, enable_thinking=True)
    return (TextEncoderLimit("Qwen3", pipe.tokenizer, MAX_PROMPT_TOKENS, template),)


def _is_guided(options: Options) -> bool:
    return float(options.get("guidance", 0.0)) > 0.0


def _encode(pipe: Any, prompt: str, negative: str, options: Options) -> dict[str, Any]:
    positive, negated = pipe.encode_prompt(
        prompt,
        do_classifier_free_guidance=_is_guided(options),
        negative_prompt=negative,
        max_sequence_length=MAX_PROMPT_TOKENS,
    )
    return {"prompt_embeds": positive, "negative_prompt_embeds": negated}


def _control_in_own_precision(_: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    latents, timestep, prompt, control, *rest = inputs
    return latents, timestep, prompt, control.to(latents[0].dtype), *rest


def _encode_no_control_to_zero(vae: Any) -> None:
    encode = vae.encode
    output_class = importlib.import_module("diffusers.models.modeling_outputs").AutoencoderKLOutput
    gaussian = importlib.import_module(
        "diffusers.models.autoencoders.vae"
    ).DiagonalGaussianDistribution

    def encode_or_zero(x: Any, *args: Any, **kwargs: Any) -> Any:
        output = encode(x, *args, **kwargs)
        if not bool((x == NO_CONTROL).all()):
            return output
        # The pipeline subtracts the shift: a mean of just that leaves zero.
        mean = output.latent_dist.mean
        shift = float(vae.config.shift_factor)
        flat = [mean.new_full(mean.shape, value) for value in (shift, -30.0)]
        parameters = importlib.import_module("torch").cat(flat, dim=1)
        return output_class(latent_dist=gaussian(parameters))

    vae.encode = encode_or_zero
