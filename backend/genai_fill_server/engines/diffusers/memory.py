"""Where the parts of a model are kept, so that it fits the device."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from genai_fill_server.engines.diffusers.cards import ModelCard
from genai_fill_server.engines.diffusers.runtime import free_gb, out_of_memory

_GIB = 2**30
_LEAST_FOR_LAYERS_GB = 1.0


class Placement(enum.StrEnum):
    """Which parts of a model live on the device. Each next one is slower and smaller."""

    RESIDENT = "resident"
    """All of them, all the time."""
    PARTS = "parts"
    """One part at a time: text encoder, denoiser, VAE; the others wait in main memory."""
    LAYERS = "layers"
    """One layer at a time. Many times slower; better than not at all."""


@dataclass(frozen=True)
class MemoryNeed:
    """Device memory in GB (2**30 bytes) that a model needs in each placement."""

    resident: float
    parts: float
    layers: float


def memory_need(pipe: Any, card: ModelCard, working_gb: float) -> MemoryNeed:
    """Return what a loaded pipeline will need: its weights and what a call adds.

    The card's figures count where they are higher: they were measured on real calls.
    ``working_gb`` is the family's estimate of activations.
    """
    sizes = [
        sum(p.numel() * p.element_size() for p in part.parameters()) / _GIB
        for part in pipe.components.values()
        if isinstance(part, nn.Module)
    ]
    return MemoryNeed(
        resident=max(card.vram_gb, sum(sizes) + working_gb),
        parts=max(card.offloaded_gb, max(sizes, default=0.0) + working_gb),
        layers=working_gb + _LEAST_FOR_LAYERS_GB,
    )


def choose_placement(need: MemoryNeed, free: float) -> Placement | None:
    """Return the fastest placement that fits into ``free`` GB, None if none does."""
    for placement, gigabytes in (
        (Placement.RESIDENT, need.resident),
        (Placement.PARTS, need.parts),
        (Placement.LAYERS, need.layers),
    ):
        if gigabytes <= free:
            return placement
    return None


def place(pipe: Any, device: torch.device, need: MemoryNeed, what: str) -> Placement:
    """Put ``pipe`` onto ``device`` in the fastest way that fits, and return which.

    Only CUDA tells what is free; other devices share main memory, so all parts go there.
    Raises `OutOfMemory` with the figures if not even single layers fit.
    """
    placement: Placement | None = Placement.RESIDENT
    if device.type == "cuda":
        placement = choose_placement(need, free_gb(device))
    if placement is None:
        raise out_of_memory(what, device, need.layers)
    put(pipe, device, placement)
    return placement


def put(pipe: Any, device: torch.device, placement: Placement) -> None:
    """Put ``pipe`` onto ``device`` as ``placement`` says."""
    if placement is Placement.RESIDENT:
        pipe.to(device)
        return
    if placement is Placement.PARTS:
        pipe.enable_model_cpu_offload(device=device)
        return
    pipe.enable_sequential_cpu_offload(device=device)
    # Where not even the parts fit, a whole picture in the VAE would be what overflows. Tiles
    # change the result a little, so the faster placements do without.
    if hasattr(pipe.vae, "enable_tiling"):
        pipe.vae.enable_tiling()
