"""Chroma: an Apache-2.0 relative of FLUX.1 that fills by blending latents."""

from __future__ import annotations

from typing import Any

from genai_fill_contract.engine import EngineOption
from genai_fill_server.engines.diffusers.cards import ModelCard
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

MAX_PROMPT_TOKENS = 512


class Chroma(Family):
    """One T5 encoder, true guidance with a negative prompt."""

    name = "chroma"
    label = "Chroma"
    pipeline = "ChromaInpaintPipeline"
    accepts = frozenset({"ChromaPipeline", "ChromaInpaintPipeline"})
    unused_parts = frozenset({"image_encoder", "feature_extractor"})
    help = "About one megapixel, many styles; follows the negative prompt well."

    def options(self, card: ModelCard) -> tuple[EngineOption, ...]:
        """Return the family's options."""
        del card
        return (
            steps_option(28),
            guidance_option(7.0),
            strength_option(1.0),
            hole_content_option(),
            detail_option(),
            noise_option(),
        )

    def parts(self, folder: ModelFolder, card: ModelCard, dtype: Any) -> dict[str, Any]:
        """Leave the image prompt encoder out."""
        del folder, card, dtype
        return {"image_encoder": None, "feature_extractor": None}

    def adapt(self, pipe: Any) -> None:
        """Say that there is no distilled guidance: the pipeline asks, the model does not tell."""
        if "guidance_embeds" not in pipe.transformer.config:
            pipe.transformer.register_to_config(guidance_embeds=False)

    def limits(self, pipe: Any) -> tuple[TextEncoderLimit, ...]:
        """One T5 encoder."""
        return (TextEncoderLimit("T5", pipe.tokenizer, MAX_PROMPT_TOKENS),)

    def encode(self, pipe: Any, prompt: str, negative: str, options: Options) -> dict[str, Any]:
        """Return embeddings and attention masks of the prompt and of its negative."""
        positive, _, mask, negated, _, negated_mask = pipe.encode_prompt(
            prompt,
            negative_prompt=negative,
            do_classifier_free_guidance=self.is_guided(options),
            max_sequence_length=MAX_PROMPT_TOKENS,
        )
        return {
            "prompt_embeds": positive,
            "prompt_attention_mask": mask,
            "negative_prompt_embeds": negated,
            "negative_prompt_attention_mask": negated_mask,
        }

    def arguments(self, pipe: Any, picture: Picture, options: Options) -> dict[str, Any]:
        """Return the call's arguments."""
        del pipe
        return {**picture_arguments(picture, options), "guidance_scale": float(options["guidance"])}
