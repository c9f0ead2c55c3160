"""FLUX.1 Fill: true inpainting, for those who have a licence."""

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


class FluxFill(Family):
    """A CLIP and a T5 encoder, distilled guidance, no negative prompt."""

    name = "flux-fill"
    label = "FLUX.1 Fill"
    pipeline = "FluxFillPipeline"
    accepts = frozenset({"FluxFillPipeline"})
    help = "True inpainting at about one megapixel. Its negative prompt is not used."

    def uses_negative(self, card: ModelCard) -> bool:
        """Its guidance is distilled: there is no negative pass."""
        del card
        return False

    def options(self, card: ModelCard) -> tuple[EngineOption, ...]:
        """Return the family's options."""
        del card
        help_text = "How closely the result keeps to the prompt. The model was made for 30."
        return (
            steps_option(50),
            guidance_option(30.0, help_text, maximum=100.0),
            strength_option(1.0),
            hole_content_option(),
            detail_option(),
            noise_option(),
        )

    def limits(self, pipe: Any) -> tuple[TextEncoderLimit, ...]:
        """T5 reads the prompt; CLIP's first 77 tokens set the overall direction."""
        return (
            TextEncoderLimit("T5", pipe.tokenizer_2, MAX_PROMPT_TOKENS),
            TextEncoderLimit("CLIP", pipe.tokenizer, int(pipe.tokenizer.model_max_length)),
        )

    def is_guided(self, options: Options) -> bool:
        """Its guidance is distilled: there is no negative pass."""
        del options
        return False

    def encode(self, pipe: Any, prompt: str, negative: str, options: Options) -> dict[str, Any]:
        """Return the embeddings of the prompt; there is no negative."""
        del negative, options
        embeds, pooled, _ = pipe.encode_prompt(prompt, max_sequence_length=MAX_PROMPT_TOKENS)
        return {"prompt_embeds": embeds, "pooled_prompt_embeds": pooled}

    def arguments(self, pipe: Any, picture: Picture, options: Options) -> dict[str, Any]:
        """Return the call's arguments."""
        del pipe
        return {**picture_arguments(picture, options), "guidance_scale": float(options["guidance"])}
