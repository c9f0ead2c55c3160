"""Plate encodings that are made once: a new seed or take costs only its denoising."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

MAX_BYTES = 512 * 2**20
"""Main memory for the encodings of one model: some 4000 frames at 512 px."""


@dataclass
class _Kept:
    """The parameters of a posterior, in main memory; ``job`` is the last that used them."""

    output: type
    deterministic: bool
    parameters: torch.Tensor
    job: int

    @property
    def size_bytes(self) -> int:
        return self.parameters.numel() * self.parameters.element_size()


class EncodingCache:
    """What a VAE made of plates and masked plates, found again by the pixels themselves.

    The posterior is kept, not a sample of it: each call still draws its own, from its own
    seed, so the bits are those of encoding again. Within a job what came first stays, as
    frames come round in the same order with every take; what earlier jobs left makes room.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        """Keep at most ``max_bytes`` in main memory."""
        self._max_bytes = max_bytes
        self._bytes = 0
        self._job = 0
        self._kept: dict[bytes, _Kept] = {}

    @property
    def size_bytes(self) -> int:
        """What is kept now."""
        return self._bytes

    def begin_job(self) -> None:
        """Let what earlier jobs left be dropped for what this one needs."""
        self._job += 1

    def serve(self, vae: Any) -> None:
        """Make ``vae.encode`` look here first. To be called last of all that wrap it.

        Calls with more than the pixels, and encoders without a posterior, go through.
        """
        encode: Callable[..., Any] = vae.encode
        gaussian = importlib.import_module("diffusers.models.autoencoders.vae")
        posterior_type = gaussian.DiagonalGaussianDistribution

        def encode_once(x: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            if args or kwargs:
                return encode(x, *args, **kwargs)
            key = tensor_key(x)
            found = self._kept.get(key)
            if found is not None:
                found.job = self._job
                parameters = found.parameters.to(x.device, copy=True)
                return found.output(
                    latent_dist=posterior_type(parameters, deterministic=found.deterministic)
                )
            output = encode(x)
            posterior = getattr(output, "latent_dist", None)
            if type(posterior) is posterior_type:
                self._keep(key, output)
            return output

        vae.encode = encode_once

    def clear(self) -> None:
        """Give the memory back."""
        self._kept.clear()
        self._bytes = 0

    def _keep(self, key: bytes, output: Any) -> None:
        posterior = output.latent_dist
        parameters = posterior.parameters.detach().to("cpu", copy=True)
        entry = _Kept(type(output), bool(posterior.deterministic), parameters, self._job)
        stale = [k for k, old in self._kept.items() if old.job != self._job]
        while self._bytes + entry.size_bytes > self._max_bytes and stale:
            self._bytes -= self._kept.pop(stale.pop(0)).size_bytes
        if self._bytes + entry.size_bytes <= self._max_bytes:
            self._kept[key] = entry
            self._bytes += entry.size_bytes


def tensor_key(x: torch.Tensor) -> bytes:
    """Return a key that two tensors share only if shape, precision and bits are the same."""
    plain = x.detach().to("cpu").contiguous()
    digest = hashlib.blake2b(f"{x.dtype} {tuple(x.shape)}".encode(), digest_size=32)
    digest.update(np.ascontiguousarray(plain.view(torch.uint8).numpy()).data)
    return digest.digest()
