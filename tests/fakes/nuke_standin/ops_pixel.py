"""Nodes that change one picture: Expression, Grade, Crop, Reformat, channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tests.fakes.nuke_standin import graph
from tests.fakes.nuke_standin.expressions import ExpressionError, compile_expression, knob_scope
from tests.fakes.nuke_standin.image import (
    RGBA,
    SHORT,
    Image,
    box_of,
    expand,
    full_name,
    intersection,
)
from tests.fakes.nuke_standin.ops_base import Operation, Pull, masked, on, vector, word

if TYPE_CHECKING:
    from tests.fakes.nuke_standin.core import NodeCore


def expression(core: NodeCore, pull: Pull) -> Image:
    """Expression: expr0..3 on channel0..3, with r g b a x y and channel names."""
    image = pull.image(0)
    if not image.channels:
        image = image.with_channels({name: image.channel(name) for name in RGBA})
    x, y, r, t = image.bbox
    size = (t - y, r - x)
    names: dict[str, Any] = {
        "x": np.broadcast_to(np.arange(x, r, dtype=np.float32), size),
        "y": np.broadcast_to(np.arange(y, t, dtype=np.float32)[:, None], size),
        "width": float(image.format.width()),
        "height": float(image.format.height()),
        "frame": float(pull.frame),
        "pi": np.pi,
    }
    knobs = knob_scope(core)

    def lookup(name: str) -> Any:
        if name in names:
            return names[name]
        if name in SHORT or name in image.channels:
            return image.channel(full_name(name))
        return knobs(name)

    for index in range(4):
        if word(core, f"temp_name{index}"):
            names[word(core, f"temp_name{index}")] = _run(core, f"temp_expr{index}", lookup)
    channels = dict(image.channels)
    for index in range(4):
        if not word(core, f"expr{index}").strip():
            continue
        result = np.broadcast_to(_run(core, f"expr{index}", lookup), size)
        for name in expand(word(core, f"channel{index}"), list(image.channels)):
            channels[name] = result
    return masked(core, pull, image, image.with_channels(channels))


def _run(core: NodeCore, knob: str, lookup: Any) -> Any:
    text = core.knobs[knob]._evaluated()  # type: ignore[attr-defined]
    try:
        with np.errstate(all="ignore"):
            return np.asarray(compile_expression(text)(lookup), np.float32)
    except TypeError as error:
        raise ExpressionError(f"{knob}: {error}") from error


def _each_channel(core: NodeCore, pull: Pull, change: Any) -> Image:
    """Apply ``change(pixels, colour index)`` to the channels of the ``channels`` knob."""
    image = pull.image(0)
    channels = dict(image.channels)
    for name in expand(word(core, "channels"), list(image.channels)):
        if name in channels:
            channels[name] = change(channels[name], RGBA.index(name) if name in RGBA else 0)
    return masked(core, pull, image, image.with_channels(channels))


def grade(core: NodeCore, pull: Pull) -> Image:
    """Foundry's grade: linear ramp between the points, then gamma, then clamps."""
    names = ("blackpoint", "whitepoint", "black", "white", "multiply", "add", "gamma")
    knobs = {name: vector(core, name) for name in names}
    if on(core, "reverse"):
        raise NotImplementedError("The stand-in has no reverse grade.")

    def change(pixels: np.ndarray, index: int) -> np.ndarray:
        low, high, black, white, multiply, add, gamma = (row[index] for row in knobs.values())
        slope = multiply * (white - black) / (high - low)
        out = pixels * np.float32(slope) + np.float32(add + black - slope * low)
        if on(core, "black_clamp"):
            out = np.maximum(out, np.float32(0))
        if on(core, "white_clamp"):
            out = np.minimum(out, np.float32(1))
        return out if gamma == 1 else np.where(out > 0, np.abs(out) ** (1 / gamma), out)

    return _each_channel(core, pull, change)


def multiply(core: NodeCore, pull: Pull) -> Image:
    factors = vector(core, "value")
    return _each_channel(core, pull, lambda pixels, index: pixels * np.float32(factors[index]))


def invert(core: NodeCore, pull: Pull) -> Image:
    return _each_channel(core, pull, lambda pixels, index: np.float32(1) - pixels)


def _by_alpha(core: NodeCore, pull: Pull, divide: bool) -> Image:
    image = pull.image(0)
    alpha = image.channel(full_name(word(core, "alpha")))
    channels = dict(image.channels)
    with np.errstate(all="ignore"):
        for name in expand(word(core, "channels"), list(image.channels)):
            if name not in channels:
                continue
            divided = np.where(alpha == 0, channels[name], channels[name] / alpha)
            channels[name] = divided if divide else channels[name] * alpha
    return image.with_channels(channels)


def premult(core: NodeCore, pull: Pull) -> Image:
    return _by_alpha(core, pull, divide=False)


def unpremult(core: NodeCore, pull: Pull) -> Image:
    return _by_alpha(core, pull, divide=True)


def crop(core: NodeCore, pull: Pull) -> Image:
    """Cut the box out; ``reformat`` makes it the format, with its corner at the origin."""
    image = pull.image(0)
    if on(core, "softness") or not on(core, "crop"):
        raise NotImplementedError("The stand-in crops hard and black outside only.")
    wanted = tuple(round(edge) for edge in vector(core, "box"))
    kept = intersection(image.bbox, wanted)  # type: ignore[arg-type]
    cut = image.with_channels(image.over(kept), kept)
    if not on(core, "reformat"):
        return cut
    x, y = wanted[:2]
    moved = (kept[0] - x, kept[1] - y, kept[2] - x, kept[3] - y)
    return Image(graph.format_of(core), moved, cut.channels, cut.metadata)


def reformat(core: NodeCore, pull: Pull) -> Image:
    """To a format without scaling (resize none, or the same size)."""
    image, shape = pull.image(0), graph.format_of(core)
    same = (image.format.width(), image.format.height()) == (shape.width(), shape.height())
    if word(core, "type") != "to format" or not (same or word(core, "resize") == "none"):
        raise NotImplementedError("The stand-in reformats without scaling only (resize none).")
    dx = dy = 0
    if on(core, "center") and not same:
        dx = (shape.width() - image.format.width()) // 2
        dy = (shape.height() - image.format.height()) // 2
    x, y, r, t = image.bbox
    moved = Image(shape, (x + dx, y + dy, r + dx, t + dy), image.channels, image.metadata)
    if not on(core, "black_outside"):
        return moved
    kept = intersection(moved.bbox, box_of(shape))
    return moved.with_channels(moved.over(kept), kept)


def _mask_knobs(core: NodeCore, available: list[str]) -> list[str]:
    names = ("channels", "channels2", "channels3", "channels4")
    return [name for knob in names for name in expand(word(core, knob), available)]


def remove(core: NodeCore, pull: Pull) -> Image:
    image = pull.image(0)
    named = _mask_knobs(core, list(image.channels))
    keep = word(core, "operation") == "keep"
    return image.with_channels(
        {name: pixels for name, pixels in image.channels.items() if (name in named) == keep}
    )


def add_channels(core: NodeCore, pull: Pull) -> Image:
    image = pull.image(0)
    channels = dict(image.channels)
    size = (image.bbox[3] - image.bbox[1], image.bbox[2] - image.bbox[0])
    for name in _mask_knobs(core, list(RGBA)):
        value = vector(core, "color")[RGBA.index(name) if name in RGBA else 0]
        channels.setdefault(name, np.full(size, value, np.float32))
    return image.with_channels(channels)


def shuffle(core: NodeCore, pull: Pull) -> Image:
    """Shuffle2 as it comes: every channel onto itself."""
    if any(not core.knobs[name]._is_default() for name in ("shuffle", "mappings")
           if name in core.knobs):  # fmt: skip
        raise NotImplementedError("The stand-in shuffles no channels; use Copy or Expression.")
    return pull.image(0)


OPERATIONS: dict[str, Operation] = {
    "Expression": expression,
    "Grade": grade,
    "Multiply": multiply,
    "Invert": invert,
    "Premult": premult,
    "Unpremult": unpremult,
    "Crop": crop,
    "Reformat": reformat,
    "Remove": remove,
    "AddChannels": add_channels,
    "Shuffle2": shuffle,
}
