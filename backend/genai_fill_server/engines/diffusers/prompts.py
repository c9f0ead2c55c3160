"""Prompts: what a text encoder reads of them, and embeddings made once a job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from genai_fill_server.engines.diffusers.encodings import tensor_key
from genai_fill_server.engines.diffusers.family import Family, Picture, TextEncoderLimit
from genai_fill_server.engines.diffusers.options import Options
from genai_fill_server.service.ports import Watch

MAX_BYTES = 512 * 2**20
"""Main memory for what encoders made of single pictures: some 60 frames of the largest."""


@dataclass(frozen=True)
class TokenCount:
    """How many tokens a text has for one encoder, and how many of them it reads."""

    encoder: str
    tokens: int
    limit: int

    @property
    def is_cut(self) -> bool:
        """Whether the encoder does not read all of it."""
        return self.tokens > self.limit


def count_tokens(limit: TextEncoderLimit, text: str) -> TokenCount:
    """Return how much of ``text`` the encoder reads, its start and end marks included."""
    # Without `truncation`, so what is counted is all of it. `verbose` would warn of just that.
    ids = limit.tokenizer(text, truncation=False, verbose=False)["input_ids"]
    return TokenCount(limit.name, len(ids) + limit.template_tokens, limit.max_tokens)


def report_cuts(
    limits: tuple[TextEncoderLimit, ...], prompt: str, negative: str, watch: Watch
) -> None:
    """Tell the artist and the recipe how long the prompts are and what was not read."""
    counts: dict[str, object] = {}
    for name, text in (("prompt", prompt), ("negative prompt", negative)):
        if not text:
            continue
        for limit in limits:
            count = count_tokens(limit, text)
            counts[f"{name}, {count.encoder}"] = f"{count.tokens} of {count.limit}"
            if count.is_cut:
                watch.log(
                    f"The {name} is {count.tokens} tokens long; {count.encoder} reads the "
                    f"first {count.limit}. Put what matters first, or shorten it."
                )
    watch.note("prompt_tokens", counts)


class PromptCache:
    """Embeddings that frames, takes and jobs share, found again by all that they depend on.

    One entry, on the device, for encoders that read text alone: a job has one prompt, and
    embeddings of large encoders take memory. Encoders that are shown the picture make one for
    each frame and tile; those wait in main memory, the oldest making room.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        """Keep at most ``max_bytes`` of what was made for single pictures."""
        self._max_bytes = max_bytes
        self._bytes = 0
        self._kept: dict[tuple[object, ...], dict[str, Any]] = {}

    def arguments(
        self,
        family: Family,
        pipe: Any,
        prompt: str,
        negative: str,
        options: Options,
        picture: Picture | None = None,
    ) -> dict[str, Any]:
        """Return the prompt as call arguments, encoded on the first call for it.

        ``picture`` is needed, and looked at, where the family's encoder sees it.
        """
        guided = family.is_guided(options)
        key: tuple[object, ...] = (prompt, negative if guided else "", guided)
        if family.sees_picture:
            assert picture is not None
            key = (*key, *_picture_keys(picture))
        if key not in self._kept:
            with torch.no_grad():
                if family.sees_picture and picture is not None:
                    made = family.encode_for(pipe, picture, prompt, negative, options)
                    self._keep(key, _moved(made, "cpu"))
                else:
                    made = family.encode(pipe, prompt, negative, options)
                    self._kept = {key: made}
        found = self._kept.get(key)
        if found is None:  # larger than all the room there is
            return made
        return _moved(found, pipe._execution_device) if family.sees_picture else dict(found)

    def clear(self) -> None:
        """Give the memory back."""
        self._kept, self._bytes = {}, 0

    def _keep(self, key: tuple[object, ...], made: dict[str, Any]) -> None:
        size = _size_bytes(made)
        while self._kept and self._bytes + size > self._max_bytes:
            self._bytes -= _size_bytes(self._kept.pop(next(iter(self._kept))))
        if size <= self._max_bytes:
            self._kept[key] = made
            self._bytes += size


def _picture_keys(picture: Picture) -> tuple[bytes, ...]:
    tensors = (picture.image, picture.reference)
    return tuple(b"" if tensor is None else tensor_key(tensor) for tensor in tensors)


def _moved(arguments: dict[str, Any], device: Any) -> dict[str, Any]:
    return {
        name: value.to(device) if isinstance(value, torch.Tensor) else value
        for name, value in arguments.items()
    }


def _size_bytes(arguments: dict[str, Any]) -> int:
    tensors = [value for value in arguments.values() if isinstance(value, torch.Tensor)]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
