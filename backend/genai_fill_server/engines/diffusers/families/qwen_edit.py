"""Qwen-Image Edit: an edit model that is shown the picture twice, and fills by blending latents.

The pipelines that diffusers has for it take 8-bit pictures only and resize them to a
megapixel by themselves. Here the weights run in Qwen-Image's inpainting pipeline instead,
which works in float and at the size it is told; what makes the difference is added:

* the denoiser sees the picture's latents beside the noise, as further tokens;
* the text encoder sees the picture beside the prompt, in float as well (see `families.seeing`).
"""

from __future__ import annotations

import importlib
from typing import Any

from genai_fill_contract.engine import EngineOption
from genai_fill_contract.plate import InputRole
from genai_fill_server.engines.diffusers.cards import ModelCard
from genai_fill_server.engines.diffusers.families.seeing import (
    VL_MULTIPLE,
    fitted,
    latent_tokens,
    read_with_pictures,
    show_to_denoiser,
)
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

MAX_PROMPT_TOKENS = 1024
_MEGAPIXEL = 1024 * 1024
_SHOWN = "_genai_fill_shown"
_TEMPLATE = "_genai_fill_template"
_SKIPPED = "_genai_fill_skipped"
_PICTURE = "<|vision_start|><|image_pad|><|vision_end|>"


class QwenImageEdit(Family):
    """Qwen-Image Edit, the first version: one picture.

    The text encoder sees it at the size of the crop that the model works on.
    """

    name = "qwen-image-edit"
    label = "Qwen-Image Edit"
    pipeline = "QwenImageInpaintPipeline"
    accepts = frozenset({"QwenImageEditPipeline", "QwenImageEditInpaintPipeline"})
    native_px = 1024
    unused_parts = frozenset({"processor"})
    sees_picture = True
    help = (
        "Changes what is there rather than replacing it; the prompt may be an instruction. "
        "Large: needs a card of 48 GB or more."
    )
    editor = "QwenImageEditPipeline"
    """The diffusers class that knows the words round the prompt."""
    seen_px = _MEGAPIXEL
    """The area, at most, at which the text encoder sees a picture."""

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

    def adapt(self, pipe: Any) -> None:
        """Show the denoiser the picture, and take embeddings of any length as they are."""
        editor = getattr(importlib.import_module("diffusers"), self.editor)
        words = editor(**pipe.components, processor=None)
        setattr(pipe, _TEMPLATE, words.prompt_template_encode)
        setattr(pipe, _SKIPPED, words.prompt_template_encode_start_idx)
        setattr(pipe, _SHOWN, [])
        pipe.encode_prompt = _as_encoded
        show_to_denoiser(pipe, lambda: getattr(pipe, _SHOWN))

    def limits(self, pipe: Any) -> tuple[TextEncoderLimit, ...]:
        """One Qwen2.5-VL encoder behind a template; what the pictures take does not count."""
        template = len(pipe.tokenizer(getattr(pipe, _TEMPLATE).format(""))["input_ids"])
        limit = MAX_PROMPT_TOKENS + template
        return (TextEncoderLimit("Qwen2.5-VL", pipe.tokenizer, limit, template),)

    def encode(self, pipe: Any, prompt: str, negative: str, options: Options) -> dict[str, Any]:
        """Not to be called: the text encoder is shown the picture, see `encode_for`."""
        raise NotImplementedError

    def encode_for(
        self, pipe: Any, picture: Picture, prompt: str, negative: str, options: Options
    ) -> dict[str, Any]:
        """Return the embeddings of the prompt, read beside the picture, and of its negative."""
        pictures = [fitted(each, self.seen_px, VL_MULTIPLE) for each in self.shown(picture)]
        before, after = getattr(pipe, _TEMPLATE).split("{}")
        before += self.introduction(len(pictures))

        def read(text: str) -> Any:
            ids = [
                *pipe.tokenizer(before)["input_ids"],
                *pipe.tokenizer(_harmless(text))["input_ids"][:MAX_PROMPT_TOKENS],
                *pipe.tokenizer(after)["input_ids"],
            ]
            return read_with_pictures(pipe, ids, pictures)[:, getattr(pipe, _SKIPPED) :]

        arguments = {"prompt_embeds": read(prompt)}
        if self.is_guided(options):
            arguments["negative_prompt_embeds"] = read(negative or " ")
        return arguments

    def arguments(self, pipe: Any, picture: Picture, options: Options) -> dict[str, Any]:
        """Return the call's arguments, and put what is shown where the denoiser finds it."""
        setattr(pipe, _SHOWN, [latent_tokens(pipe, each) for each in self.shown(picture)])
        return {
            **picture_arguments(picture, options),
            "true_cfg_scale": float(options["guidance"]),
            "max_sequence_length": MAX_PROMPT_TOKENS,
        }

    def shown(self, picture: Picture) -> list[Any]:
        """Return the pictures that the model is shown: (1, 3, h, w) in [0, 1], sides of 16·n."""
        return [picture.image]

    def introduction(self, pictures: int) -> str:
        """Return what stands between the template's start and the prompt."""
        del pictures
        return ""


class QwenImageEditPlus(QwenImageEdit):
    """Qwen-Image Edit 2509 and later: a reference picture as well.

    The text encoder sees thumbnails, of about 384 pixels a side.
    """

    name = "qwen-image-edit-plus"
    label = "Qwen-Image Edit Plus"
    accepts = frozenset({"QwenImageEditPlusPipeline"})
    inputs = (InputRole.REFERENCE,)
    editor = "QwenImageEditPlusPipeline"
    seen_px = 384 * 384

    def shown(self, picture: Picture) -> list[Any]:
        """Return the picture and the reference, that of at most a megapixel."""
        if picture.reference is None:
            return [picture.image]
        return [picture.image, fitted(picture.reference, _MEGAPIXEL, 32)]

    def introduction(self, pictures: int) -> str:
        """Return the numbered places of the pictures; the second one is the reference."""
        return "".join(f"Picture {number + 1}: {_PICTURE}" for number in range(pictures))


def _as_encoded(
    prompt: Any = None, prompt_embeds: Any = None, prompt_embeds_mask: Any = None, **_: Any
) -> tuple[Any, Any]:
    """Stand in for the pipeline's own method, which cuts embeddings to 1024 tokens."""
    del prompt
    return prompt_embeds, prompt_embeds_mask


def _harmless(text: str) -> str:
    """Return a prompt that cannot be taken for the marks where pictures go."""
    return text.replace("<|", "< |")
