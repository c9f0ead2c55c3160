"""Weights rounded to 8 bits, where a model fits the device only so.

Each output channel of a linear layer gets a scale of its own (weight-only quantisation by
torchao); the computation stays in the working precision. What lies outside the repeating
blocks (embeddings, first and last projections), and the VAE, stay as they are: small, and a
picture shows it when they are coarse.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Iterator
from typing import Any

from torch import nn

_IN_A_BLOCK = re.compile(r"(^|\.)\d+\.")


def is_there() -> bool:
    """Whether the library for it is installed."""
    return importlib.util.find_spec("torchao") is not None


def saved_bytes(pipe: Any) -> int:
    """Return how many bytes smaller ``pipe`` would be."""
    return sum(
        layer.weight.numel() * (layer.weight.element_size() - 1) - 2 * layer.out_features * 4
        for part in _parts(pipe)
        for name, layer in part.named_modules()
        if _is_rounded(layer, name)
    )


def round_weights(pipe: Any) -> None:
    """Round the weights of every block of the denoiser and the text encoders, in place."""
    quantization = importlib.import_module("torchao.quantization")
    for part in _parts(pipe):
        quantization.quantize_(part, quantization.Int8WeightOnlyConfig(), filter_fn=_is_rounded)


def _parts(pipe: Any) -> Iterator[nn.Module]:
    for name, part in pipe.components.items():
        if isinstance(part, nn.Module) and name != "vae":
            yield part


def _is_rounded(layer: nn.Module, name: str) -> bool:
    return isinstance(layer, nn.Linear) and _IN_A_BLOCK.search(name) is not None
