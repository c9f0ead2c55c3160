"""Nodes that combine or choose pictures: Keymix, Merge2, Copy, Switch, Dissolve, time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tests.fakes.nuke_standin.expressions import ExpressionError
from tests.fakes.nuke_standin.image import RGBA, Box, Image, expand, full_name, intersection, union
from tests.fakes.nuke_standin.ops_base import (
    Operation,
    Pull,
    blend,
    masked,
    number,
    on,
    share_of,
    word,
)

if TYPE_CHECKING:
    from tests.fakes.nuke_standin.core import NodeCore

Pixels = np.ndarray
Formula = Callable[[Pixels, Pixels, Pixels, Pixels], Pixels]
ONE = np.float32(1)
BUILT_IN_LAYERS = ("rgba", "rgb", "depth", "motion", "forward", "backward", "mask", "disparity")
FORMULAS: dict[str, Formula] = {
    "over": lambda A, B, a, b: A + B * (ONE - a),
    "under": lambda A, B, a, b: A * (ONE - b) + B,
    "copy": lambda A, B, a, b: A,
    "plus": lambda A, B, a, b: A + B,
    "minus": lambda A, B, a, b: A - B,
    "from": lambda A, B, a, b: B - A,
    "multiply": lambda A, B, a, b: A * B,
    "max": lambda A, B, a, b: np.maximum(A, B),
    "min": lambda A, B, a, b: np.minimum(A, B),
    "difference": lambda A, B, a, b: np.abs(A - B),
    "in": lambda A, B, a, b: A * b,
    "out": lambda A, B, a, b: A * (ONE - b),
    "mask": lambda A, B, a, b: B * a,
    "stencil": lambda A, B, a, b: B * (ONE - a),
    "matte": lambda A, B, a, b: A * a + B * (ONE - a),
    "atop": lambda A, B, a, b: A * b + B * (ONE - a),
    "xor": lambda A, B, a, b: A * (ONE - b) + B * (ONE - a),
    "screen": lambda A, B, a, b: A + B - A * B,
    "average": lambda A, B, a, b: (A + B) / np.float32(2),
}


def _box(core: NodeCore, below: Image, above: Image) -> Box:
    rule = word(core, "bbox")
    boxes = {
        "union": union(below.bbox, above.bbox),
        "intersection": intersection(below.bbox, above.bbox),
        "A": above.bbox,
        "B": below.bbox,
    }
    return boxes[rule]


def _all_names(*images: Image) -> list[str]:
    return list(dict.fromkeys(name for image in images for name in image.channels))


def keymix(core: NodeCore, pull: Pull) -> Image:
    """B where the mask is 0 and A where it is 1, both bit for bit; a mix between."""
    below, above, mask = pull.image(0), pull.image(1), pull.image(2)
    box = _box(core, below, above)
    share = mask.channel(full_name(word(core, "maskChannel")), box)
    if on(core, "invertMask"):
        share = ONE - share
    share = share * np.float32(number(core, "mix"))
    names = _all_names(below, above)
    changed = expand(word(core, "channels"), names)
    return below.with_channels(
        {
            name: blend(below.channel(name, box), above.channel(name, box), share)
            if name in changed
            else below.channel(name, box)
            for name in names
        },
        box,
    )


def merge(core: NodeCore, pull: Pull) -> Image:
    """Merge2 on rgba: B is input 0, A inputs 1, 3, 4, …; the mask is input 2."""
    operation = word(core, "operation")
    if operation not in FORMULAS:
        raise NotImplementedError(f"The stand-in has no Merge2 operation {operation!r}.")
    below = first = pull.image(0)
    sources = [index for index in range(1, len(core.inputs)) if index != 2 and core.inputs[index]]
    for index in sources:
        below = _merge_one(core, below, pull.image(index), FORMULAS[operation])
    if core.input_at(2) is None and number(core, "mix") == 1:
        return below
    share = share_of(core, pull, below.bbox, 2)
    return below.with_channels(
        {
            name: blend(first.channel(name, below.bbox), pixels, share)
            for name, pixels in below.channels.items()
        }
    )


def _merge_one(core: NodeCore, below: Image, above: Image, formula: Formula) -> Image:
    box = _box(core, below, above)
    a, b = above.channel(RGBA[3], box), below.channel(RGBA[3], box)
    channels = below.over(box)
    with np.errstate(invalid="ignore", over="ignore"):
        for name in RGBA:
            if name in below.channels or name in above.channels:
                channels[name] = formula(above.channel(name, box), below.channel(name, box), a, b)
    return below.with_channels(channels, box)


def _require_known(core: NodeCore, channel: str, image: Image) -> None:
    """A channel of a layer that the session never met is an error; a known one that the
    picture has not is black. Stricter than Nuke may be: it makes gizmos bring their layers."""
    layer = full_name(channel).partition(".")[0]
    known = layer in {*BUILT_IN_LAYERS, *core.world.layers}
    if not known and full_name(channel) not in image.channels:
        raise ExpressionError(f"There is no channel {channel}")


def copy(core: NodeCore, pull: Pull) -> Image:
    """Channels of A (input 1) put into B (input 0)."""
    below, above = pull.image(0), pull.image(1)
    box = _box(core, below, above)
    channels = below.over(box)
    for name in expand(word(core, "channels"), list(above.channels)):
        channels[name] = above.channel(name, box)
    for index in range(4):
        source, target = word(core, f"from{index}"), word(core, f"to{index}")
        if "none" not in (source, target):
            _require_known(core, source, above)
            channels[full_name(target)] = above.channel(full_name(source), box)
    return masked(core, pull, below, below.with_channels(channels, box))


def switch(core: NodeCore, pull: Pull) -> Image:
    """The input ``which`` names; beyond the last, the last."""
    which = int(np.floor(number(core, "which")))
    return pull.image(min(max(which, 0), max(len(core.inputs) - 1, 0)))


def dissolve(core: NodeCore, pull: Pull) -> Image:
    """From input to input (2 is the mask)."""
    which = number(core, "which")
    order = [0, 1, *range(3, max(len(core.inputs), 3))]
    low = min(max(int(np.floor(which)), 0), len(order) - 1)
    high = min(low + 1, len(order) - 1)
    first, second = pull.image(order[low]), pull.image(order[high])
    box = union(first.bbox, second.bbox)
    share = np.full((box[3] - box[1], box[2] - box[0]), which - low, np.float32)
    names = _all_names(first, second)
    mixed = {
        name: blend(first.channel(name, box), second.channel(name, box), share) for name in names
    }
    return masked(core, pull, first, first.with_channels(mixed, box))


def first_input(core: NodeCore, pull: Pull) -> Image:
    """Nodes that hand on what they get."""
    return pull.image(0)


def frame_hold(core: NodeCore, pull: Pull) -> Image:
    first, step = number(core, "firstFrame"), number(core, "increment")
    frame = first if not step else first + np.floor((pull.frame - first) / step) * step
    return pull.image(0, float(frame))


def time_offset(core: NodeCore, pull: Pull) -> Image:
    return pull.image(0, pull.frame - number(core, "time_offset"))


OPERATIONS: dict[str, Operation] = {
    "Keymix": keymix,
    "Merge2": merge,
    "Copy": copy,
    "Switch": switch,
    "Dissolve": dissolve,
    "FrameHold": frame_hold,
    "TimeOffset": time_offset,
    **dict.fromkeys(("NoOp", "Dot", "Output", "Write", "Viewer", "BlackOutside"), first_input),
}
