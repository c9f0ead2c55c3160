"""What every operation needs: its inputs, its knobs as numbers, mask and mix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from tests.fakes.nuke_standin.image import Box, Image, full_name

if TYPE_CHECKING:
    from tests.fakes.nuke_standin.core import NodeCore


class PullInput(Protocol):
    """Give the picture of an input, at another frame if asked."""

    def __call__(self, index: int, at: float | None = None) -> Image: ...


@dataclass(frozen=True)
class Pull:
    """The way to the inputs at one frame."""

    image: PullInput
    frame: float


Operation = Callable[["NodeCore", Pull], Image]


def number(core: NodeCore, knob: str, channel: int = 0) -> float:
    return core.knobs[knob]._number(channel)


def vector(core: NodeCore, knob: str) -> list[float]:
    return core.knobs[knob]._vector()  # type: ignore[attr-defined, no-any-return]


def word(core: NodeCore, knob: str) -> str:
    return core.knobs[knob]._raw_text()


def on(core: NodeCore, knob: str) -> bool:
    return bool(number(core, knob))


def blend(low: np.ndarray, high: np.ndarray, share: np.ndarray) -> np.ndarray:
    """``low`` where the share is 0, ``high`` where it is 1: exactly, whatever the other holds."""
    with np.errstate(invalid="ignore", over="ignore"):
        mixed = high * share + low * (np.float32(1) - share)
    return np.where(share == 0, low, np.where(share == 1, high, mixed)).astype(np.float32)


def mix_of(core: NodeCore) -> float:
    """The mix knob, 1 for nodes without one."""
    return number(core, "mix") if "mix" in core.knobs else 1.0


def share_of(core: NodeCore, pull: Pull, box: Box, mask_input: int) -> np.ndarray:
    """Mask times mix of a native node, over a box."""
    size = (box[3] - box[1], box[2] - box[0])
    share = np.ones(size, np.float32)
    if core.input_at(mask_input) is not None:
        mask = word(core, "maskChannelMask")
        share = pull.image(mask_input).channel(full_name(mask), box).copy()
        if on(core, "invert_mask"):
            share = np.float32(1) - share
    return share * np.float32(mix_of(core))


def masked(core: NodeCore, pull: Pull, before: Image, after: Image) -> Image:
    """Let ``after`` through where mask and mix say so."""
    mask_input = core.optional_input()
    if core.input_at(mask_input) is None and mix_of(core) == 1:
        return after
    share = share_of(core, pull, after.bbox, mask_input)
    return after.with_channels(
        {
            name: blend(before.channel(name, after.bbox), pixels, share)
            for name, pixels in after.channels.items()
        }
    )
