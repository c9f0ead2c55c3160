"""Prompts: what a text encoder reads of them, and embeddings made once a job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from genai_fill_server.engines.diffusers.family import Family, TextEncoderLimit
from genai_fill_server.engines.diffusers.options import Options
from genai_fill_server.service.ports import Watch


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
    """The embeddings of the last prompts, on the device, so that frames and takes share them.

    Holds one entry: a job has one prompt, and embeddings of large encoders take memory.
    """

    def __init__(self) -> None:
        self._key: tuple[object, ...] = ()
        self._arguments: dict[str, Any] = {}

    def arguments(
        self, family: Family, pipe: Any, prompt: str, negative: str, options: Options
    ) -> dict[str, Any]:
        """Return the prompt as call arguments, encoded on the first call for it."""
        key = (prompt, negative, tuple(sorted(options.items())))
        if key != self._key:
            with torch.no_grad():
                self._arguments = family.encode(pipe, prompt, negative, options)
            self._key = key
        return dict(self._arguments)

    def clear(self) -> None:
        """Give the memory back."""
        self._key, self._arguments = (), {}
