"""FLUX.2 klein: a small edit model that fills by blending latents."""

from __future__ import annotations

from typing import Any

from genai_fill_contract.engine import EngineOption
from genai_fill_contract.plate import InputRole
from genai_fill_server.engines.diffusers.cards import ModelCard
from genai_fill_server.engines.diffusers.family import (
    Family,
    Picture,
    TextEncoderLimit,
    chat_tokens,
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


class Flux2Klein(Family):
    """The recommended image model: Apache-2.0, 4 steps, about 13 GB.

    It is shown the whole picture beside the noise, so what lies under the matte matters
    even at full strength.
    """

    name = "flux2-klein"
    label = "FLUX.2 klein"
    pipeline = "Flux2KleinInpaintPipeline"
    accepts = frozenset({"Flux2KleinPipeline", "Flux2KleinInpaintPipeline"})
    # Its pipeline shrinks whatever is larger than a megapixel without a word, so the bound
    # of one megapixel is kept here.
    native_px = 1024
    smallest = 0.5
    inputs = (InputRole.REFERENCE,)
    largest = 1.0
    help = "Recommended for single frames: fast, one megapixel, understands long prompts."

    def options(self, card: ModelCard) -> tuple[EngineOption, ...]:
        """Return the family's options; distilled models have no guidance."""
        guidance = () if card.distilled else (guidance_option(4.0),)
        return (
            steps_option(4 if card.distilled else 50),
            *guidance,
            strength_option(1.0),
            hole_content_option(),
            detail_option(),
            noise_option(),
        )

    def limits(self, pipe: Any) -> tuple[TextEncoderLimit, ...]:
        """One Qwen3 encoder behind a chat template."""
        template = chat_tokens(pipe.tokenizer, enable_thinking=False)
        return (TextEncoderLimit("Qwen3", pipe.tokenizer, MAX_PROMPT_TOKENS, template),)

    def encode(self, pipe: Any, prompt: str, negative: str, options: Options) -> dict[str, Any]:
        """Return the embeddings of the prompt and, for models with guidance, its negative."""
        layers = _layers(pipe)
        positive, _ = pipe.encode_prompt(prompt, text_encoder_out_layers=layers)
        arguments: dict[str, Any] = {"prompt_embeds": positive}
        if self.is_guided(options) and not pipe.config.is_distilled:
            negated, _ = pipe.encode_prompt(negative, text_encoder_out_layers=layers)
            arguments["negative_prompt_embeds"] = negated
        return arguments

    def arguments(self, pipe: Any, picture: Picture, options: Options) -> dict[str, Any]:
        """Return the call's arguments."""
        del pipe
        reference = {} if picture.reference is None else {"image_reference": picture.reference}
        return {
            **picture_arguments(picture, options),
            **reference,
            "guidance_scale": float(options.get("guidance", 1.0)),
        }


def _layers(pipe: Any) -> tuple[int, int, int]:
    """Return the encoder layers that are read: at a quarter, a half and three quarters.

    For the 36 layers of Qwen3-4B and 8B these are 9, 18 and 27, as the model was trained.
    """
    count = int(pipe.text_encoder.config.num_hidden_layers)
    return count // 4, count // 2, 3 * count // 4
