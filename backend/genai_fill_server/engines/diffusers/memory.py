"""Where the parts of a model are kept, so that it fits the device."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from genai_fill_server.engines.diffusers import eight_bit
from genai_fill_server.engines.diffusers.cards import ModelCard
from genai_fill_server.engines.diffusers.runtime import free_gb, out_of_memory

_GIB = 2**30
LEAST_FOR_LAYERS_GB = 1.0
"""What the greatest layers take where they are on the device one at a time."""


class Placement(enum.StrEnum):
    """Which parts of a model live on the device. Each next one is slower and smaller."""

    RESIDENT = "resident"
    """All of them, all the time."""
    EIGHT_BIT = "8-bit weights"
    """All of them, the blocks' weights rounded to 8 bits: close to the same pictures."""
    PARTS = "parts"
    """One part at a time: text encoder, denoiser, VAE; the others wait in main memory."""
    LAYERS = "layers"
    """One layer at a time. Many times slower; better than not at all."""


@dataclass(frozen=True)
class MemoryNeed:
    """Device memory in GB (2**30 bytes) that a model needs in each placement.

    ``eight_bit`` is None where weights cannot be rounded.
    """

    resident: float
    eight_bit: float | None
    parts: float
    layers: float


def memory_need(pipe: Any, card: ModelCard, working_gb: float, more_gb: float = 0.0) -> MemoryNeed:
    """Return what a loaded pipeline will need: its weights and what a call adds.

    The card's figures count where they are higher: they were measured on real calls.
    ``working_gb`` is the family's estimate for a native call, ``more_gb`` what this job's
    calls take beyond that.
    """
    sizes = {
        name: sum(p.numel() * p.element_size() for p in part.parameters()) / _GIB
        for name, part in pipe.components.items()
        if isinstance(part, nn.Module)
    }
    resident = max(card.vram_gb, sum(sizes.values()) + working_gb) + more_gb
    return MemoryNeed(
        resident=resident,
        eight_bit=resident - eight_bit.saved_bytes(pipe) / _GIB if eight_bit.is_there() else None,
        parts=max(card.offloaded_gb, _largest_at_once(pipe, sizes) + working_gb) + more_gb,
        layers=working_gb + more_gb + LEAST_FOR_LAYERS_GB,
    )


def _largest_at_once(pipe: Any, sizes: Mapping[str, float]) -> float:
    """Return the most that is on the device where parts take turns, in GB.

    Parts that are not in the pipeline's order of turns, as most ControlNets, stay to its end.
    """
    turns = str(pipe.model_cpu_offload_seq or "").split("->")
    staying = sum(size for name, size in sizes.items() if name not in turns)
    return max((sizes[name] for name in turns if name in sizes), default=0.0) + staying


def choose_placement(need: MemoryNeed, free: float) -> Placement | None:
    """Return the fastest placement that fits into ``free`` GB, None if none does."""
    for placement, gigabytes in (
        (Placement.RESIDENT, need.resident),
        (Placement.EIGHT_BIT, need.eight_bit),
        (Placement.PARTS, need.parts),
        (Placement.LAYERS, need.layers),
    ):
        if gigabytes is not None and gigabytes <= free:
            return placement
    return None


def place(
    pipe: Any,
    device: torch.device,
    need: MemoryNeed,
    what: str,
    fits: Callable[[float], str] | None = None,
) -> Placement:
    """Put ``pipe`` onto ``device`` in the fastest way that fits, and return which.

    Only CUDA tells what is free; other devices share main memory, so all parts go there.
    Raises `OutOfMemory` with the figures if not even single layers fit, and with what
    ``fits`` says would (of free GB, in words).
    """
    placement: Placement | None = Placement.RESIDENT
    if device.type == "cuda":
        placement = choose_placement(need, free_gb(device))
    if placement is None:
        said = fits(free_gb(device)) if fits else ""
        raise out_of_memory(what, device, need.layers, fits=said)
    put(pipe, device, placement)
    return placement


def put(pipe: Any, device: torch.device, placement: Placement) -> None:
    """Put ``pipe`` onto ``device`` as ``placement`` says."""
    if placement is Placement.EIGHT_BIT:
        eight_bit.round_weights(pipe)
    if placement in (Placement.RESIDENT, Placement.EIGHT_BIT):
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
