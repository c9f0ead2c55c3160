"""Prompts longer than CLIP reads: in windows of 75 tokens, one after the other.

CLIP reads 77 tokens, start and end marks included. A longer prompt is cut into windows, each is
read alone, and what comes of them is laid end to end for the denoiser, which takes any length.
A sentence across a border is read in two halves. Prompts of one window are left to the pipeline.
"""

from __future__ import annotations

import importlib
from typing import Any

MOST_WINDOWS = 3


def most_tokens(tokenizer: Any) -> int:
    """Return how many tokens of a prompt are read, start and end marks included."""
    return MOST_WINDOWS * (int(tokenizer.model_max_length) - 2) + 2


def windows_of(tokenizer: Any, text: str) -> list[list[int]]:
    """Return the token ids of each window of ``text``, marks and padding included; at least one."""
    longest = int(tokenizer.model_max_length)
    each = longest - 2
    ids = tokenizer(text, add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
    parts = [ids[start : start + each] for start in range(0, max(1, len(ids)), each)]
    framed = [[tokenizer.bos_token_id, *part, tokenizer.eos_token_id] for part in parts]
    return [row + [tokenizer.pad_token_id] * (longest - len(row)) for row in framed[:MOST_WINDOWS]]


def read_windows(
    pipe: Any, encoder: Any, tokenizer: Any, text: str, count: int, layer: int
) -> tuple[Any, Any]:
    """Return what a CLIP encoder makes of ``text`` in ``count`` windows: (1, tokens, channels).

    And what it makes of the first one as a whole. ``layer`` is the hidden state that is taken;
    0 is the last one after its norm. Windows that the text does not need are empty ones.
    """
    torch = importlib.import_module("torch")
    rows = windows_of(tokenizer, text)
    rows += windows_of(tokenizer, "") * (count - len(rows))
    ids = torch.tensor(rows, device=pipe._execution_device)
    output = encoder(ids, output_hidden_states=True)
    hidden = output.hidden_states[layer] if layer else output[0]
    whole = output[0] if output[0].ndim == 2 else None
    return hidden.reshape(1, -1, hidden.shape[-1]), None if whole is None else whole[:1]
