"""Stable Diffusion XL inpainting, alone or with a ControlNet for depth, edges or poses."""

from __future__ import annotations

import importlib
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


class StableDiffusionXL(Family):
    """The fallback for small cards: 1 megapixel in 7 to 10 GB.

    The invisible watermark of diffusers is left off: it changes pixels, and what was
    generated is recorded in the take's header and recipe instead.
    """

    name = "stable-diffusion-xl"
    label = "Stable Diffusion XL"
    pipeline = "StableDiffusionXLInpaintPipeline"
    accepts = frozenset({"StableDiffusionXLInpaintPipeline", "StableDiffusionXLPipeline"})
    multiple_px = 8
    native_px = 1024
    smallest = 0.625
    largest = 1.0
    working_dtype = "float16"
    unused_parts = frozenset({"feature_extractor", "image_encoder"})
    help = "Works at about one megapixel and runs on cards of 8 to 10 GB."

    def options(self, card: ModelCard) -> tuple[EngineOption, ...]:
        """Return the family's options."""
        del card
        return (
            steps_option(50),
            guidance_option(7.5),
            strength_option(0.99),
            hole_content_option(),
            detail_option(),
            sampler_option(),
            noise_option(),
        )

    def parts(self, folder: ModelFolder, card: ModelCard, dtype: Any) -> dict[str, Any]:
        """Leave the image prompt encoder and the watermark out."""
        del folder, card, dtype
        return {"feature_extractor": None, "image_encoder": None, "add_watermarker": False}

    def scheduler(self, own: Any, options: Options) -> Any:
        """Return the sampler that was chosen."""
        return scheduler_for(own, options)

    def limits(self, pipe: Any) -> tuple[TextEncoderLimit, ...]:
        """Two CLIP encoders, each reading the whole prompt, a long one window by window."""
        return (
            TextEncoderLimit("CLIP-L", pipe.tokenizer, most_tokens(pipe.tokenizer)),
            TextEncoderLimit("CLIP-G", pipe.tokenizer_2, most_tokens(pipe.tokenizer_2)),
        )

    def encode(self, pipe: Any, prompt: str, negative: str, options: Options) -> dict[str, Any]:
        """Return the four embeddings. An empty negative means zeros, as SDXL was trained."""
        texts = (prompt, negative if self.is_guided(options) else "")
        count = max(len(windows_of(pipe.tokenizer, text)) for text in texts)
        if count > 1:
            return _in_windows(pipe, prompt, negative if self.is_guided(options) else None, count)
        positive, negated, pooled, negated_pooled = pipe.encode_prompt(
            prompt=prompt,
            do_classifier_free_guidance=self.is_guided(options),
            negative_prompt=negative or None,
        )
        return {
            "prompt_embeds": positive,
            "negative_prompt_embeds": negated,
            "pooled_prompt_embeds": pooled,
            "negative_pooled_prompt_embeds": negated_pooled,
        }

    def arguments(self, pipe: Any, picture: Picture, options: Options) -> dict[str, Any]:
        """Return the call's arguments."""
        del pipe
        return {**picture_arguments(picture, options), "guidance_scale": float(options["guidance"])}


class StableDiffusionXLControlNet(Steered, StableDiffusionXL):
    """Steered by depth, edges or poses where there is a control picture."""

    name = "stable-diffusion-xl-controlnet"
    label = "Stable Diffusion XL with ControlNet"
    pipeline = "StableDiffusionXLControlNetInpaintPipeline"
    accepts = frozenset({"StableDiffusionXLControlNetInpaintPipeline"})
    plain = StableDiffusionXL()
    help = "About one megapixel; depth or edges steer it. Needs about 2.3 GB more than without."

    def plain_settings(self, pipe: Any) -> dict[str, Any]:
        """Go by the loaded pipeline's configuration, without a watermark."""
        return {
            "add_watermarker": False,
            "requires_aesthetics_score": pipe.config.requires_aesthetics_score,
            "force_zeros_for_empty_prompt": pipe.config.force_zeros_for_empty_prompt,
        }


StableDiffusionXL.controlnet = StableDiffusionXLControlNet()


def _in_windows(pipe: Any, prompt: str, negative: str | None, count: int) -> dict[str, Any]:
    """Return the embeddings of a long prompt: those of both encoders side by side."""

    def read(text: str) -> tuple[Any, Any]:
        first, _ = read_windows(pipe, pipe.text_encoder, pipe.tokenizer, text, count, -2)
        second, pooled = read_windows(pipe, pipe.text_encoder_2, pipe.tokenizer_2, text, count, -2)
        return importlib.import_module("torch").cat([first, second], dim=-1), pooled

    positive, pooled = read(prompt)
    embeddings = {"prompt_embeds": positive, "pooled_prompt_embeds": pooled}
    if negative is None:
        return embeddings
    negated = read(negative) if negative else (positive * 0, pooled * 0)
    names = ("negative_prompt_embeds", "negative_pooled_prompt_embeds")
    return {**embeddings, **dict(zip(names, negated, strict=True))}
