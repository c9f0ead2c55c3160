"""Stable Diffusion 1.5 and 2: inpainting with a 9-channel (or plain 4-channel) UNet.

Alone, or with a ControlNet that a control picture speaks through.
"""

from __future__ import annotations

from typing import Any

from genai_fill_contract.engine import EngineOption
from genai_fill_server.engines.diffusers.cards import ModelCard
from genai_fill_server.engines.diffusers.families.clip_windows import (
    most_tokens,
    read_windows,
    windows_of,
)
from genai_fill_server.engines.diffusers.families.samplers import sampler_option, scheduler_for
from genai_fill_server.engines.diffusers.families.steering import Steered
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


class StableDiffusion(Family):
    """Small and fast; 512 px, one CLIP encoder, 77 tokens at a time.

    The safety checker is not loaded: it replaces a whole frame by black, without a word,
    when it takes offence.
    """

    name = "stable-diffusion"
    label = "Stable Diffusion"
    pipeline = "StableDiffusionInpaintPipeline"
    accepts = frozenset({"StableDiffusionInpaintPipeline", "StableDiffusionPipeline"})
    multiple_px = 8
    native_px = 512
    smallest = 1.0
    largest = 1.5
    working_dtype = "float16"
    unused_parts = frozenset({"safety_checker", "feature_extractor", "image_encoder"})
    help = "Small and fast, needs about 4 GB. Works at 512 px, so large holes come out soft."

    def options(self, card: ModelCard) -> tuple[EngineOption, ...]:
        """Return the family's options."""
        del card
        return (
            steps_option(50),
            guidance_option(7.5),
            strength_option(1.0),
            hole_content_option(),
            detail_option(),
            sampler_option(),
            noise_option(),
        )

    def parts(self, folder: ModelFolder, card: ModelCard, dtype: Any) -> dict[str, Any]:
        """Leave the safety checker out."""
        del folder, card, dtype
        return {
            "safety_checker": None,
            "feature_extractor": None,
            "image_encoder": None,
            "requires_safety_checker": False,
        }

    def scheduler(self, own: Any, options: Options) -> Any:
        """Return the sampler that was chosen."""
        return scheduler_for(own, options)

    def limits(self, pipe: Any) -> tuple[TextEncoderLimit, ...]:
        """One CLIP encoder, which reads long prompts window by window."""
        return (TextEncoderLimit("CLIP", pipe.tokenizer, most_tokens(pipe.tokenizer)),)

    def encode(self, pipe: Any, prompt: str, negative: str, options: Options) -> dict[str, Any]:
        """Return the embeddings of the prompt and, under guidance, of its negative."""
        texts = (prompt, negative if self.is_guided(options) else "")
        count = max(len(windows_of(pipe.tokenizer, text)) for text in texts)
        if count > 1:
            positive, negated = (
                read_windows(pipe, pipe.text_encoder, pipe.tokenizer, text, count, 0)[0]
                for text in texts
            )
            return {
                "prompt_embeds": positive,
                "negative_prompt_embeds": negated if self.is_guided(options) else None,
            }
        positive, negated = pipe.encode_prompt(
            prompt,
            pipe._execution_device,
            1,
            self.is_guided(options),
            negative_prompt=negative,
        )
        return {"prompt_embeds": positive, "negative_prompt_embeds": negated}

    def arguments(self, pipe: Any, picture: Picture, options: Options) -> dict[str, Any]:
        """Return the call's arguments."""
        del pipe
        return {**picture_arguments(picture, options), "guidance_scale": float(options["guidance"])}


class StableDiffusionControlNet(Steered, StableDiffusion):
    """Steered by depth, edges or poses where there is a control picture."""

    name = "stable-diffusion-controlnet"
    label = "Stable Diffusion with ControlNet"
    pipeline = "StableDiffusionControlNetInpaintPipeline"
    accepts = frozenset({"StableDiffusionControlNetInpaintPipeline"})
    plain = StableDiffusion()
    help = "Works at 512 px; depth or edges steer it. Needs about 0.7 GB more than without."

    def plain_settings(self, pipe: Any) -> dict[str, Any]:
        """Ask for no safety checker, as when the model was loaded."""
        del pipe
        return {"requires_safety_checker": False}


StableDiffusion.controlnet = StableDiffusionControlNet()
