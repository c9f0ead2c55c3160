"""Nodes that make pictures: Read, Constant, CheckerBoard2."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tests.fakes.nuke_standin import graph
from tests.fakes.nuke_standin.expressions import evaluate
from tests.fakes.nuke_standin.files import FileProblem, convert_check, read_image
from tests.fakes.nuke_standin.image import RGBA, Image, black, box_of, expand
from tests.fakes.nuke_standin.knobs_text import at_frame
from tests.fakes.nuke_standin.ops_base import Operation, Pull, number, on, vector, word
from tests.fakes.nuke_standin.ops_views import in_view

if TYPE_CHECKING:
    from tests.fakes.nuke_standin.core import NodeCore


def file_frame(core: NodeCore, frame: float) -> int:
    """The frame number a Read or Write looks for, after frame_mode."""
    mode, text = word(core, "frame_mode"), word(core, "frame")
    if not text:
        return int(frame)
    if mode == "start at":
        return int(frame) - int(float(text)) + int(number(core, "first"))
    if mode == "offset":
        return int(frame) + int(float(text))
    return int(evaluate(text, core))


def pattern_of(core: NodeCore) -> str:
    """The file that a Read or Write is about, in the view that is asked for."""
    return in_view(core.knobs["file"]._evaluated(), core.world)  # type: ignore[attr-defined]


def _within(core: NodeCore, frame: int) -> int | None:
    """The frame after before/after; None for black."""
    first, last = int(number(core, "first")), int(number(core, "last"))
    if first <= frame <= last:
        return frame
    rule = word(core, "before" if frame < first else "after")
    length = last - first + 1
    if rule == "black":
        return None
    if rule == "hold":
        return first if frame < first else last
    if rule == "loop" or length == 1:
        return first + (frame - first) % length
    step = (frame - first) % (2 * length - 2)
    return first + (step if step < length else 2 * length - 2 - step)


def read(core: NodeCore, pull: Pull) -> Image:
    """Read: before/after, missing frames, data window as bbox."""
    shape = graph.format_of(core)
    frame = _within(core, file_frame(core, pull.frame))
    if frame is None:
        return black(shape, RGBA)
    convert_check(core)
    pattern = pattern_of(core)
    path = at_frame(pattern, frame)
    if not pattern or not Path(path).is_file():
        return _missing(core, frame, path)
    known = core.knobs["format"]._format  # type: ignore[attr-defined]
    image = read_image(path, known)
    if on(core, "auto_alpha") and RGBA[3] not in image.channels:
        image.channels[RGBA[3]] = np.ones_like(next(iter(image.channels.values())))
    image.metadata["input/frame"] = frame
    return image


def _missing(core: NodeCore, frame: int, path: str) -> Image:
    rule = word(core, "on_error")
    if rule == "black":
        return black(graph.format_of(core), RGBA)
    if rule == "nearest frame":
        pattern = pattern_of(core)
        first, last = graph.range_of(core)
        near = sorted(range(first, last + 1), key=lambda other: abs(other - frame))
        for other in near:
            if Path(at_frame(pattern, other)).is_file():
                return read_image(at_frame(pattern, other), None)
    if rule == "checkerboard":
        return _checks(graph.format_of(core), 64, [0.1] * 4, [0.5] * 4)
    raise FileProblem(f"{path or 'no file name'}: No such file or directory")


def constant(core: NodeCore, pull: Pull) -> Image:
    """One colour over the format."""
    shape = graph.format_of(core)
    image = black(shape, tuple(expand(word(core, "channels"), list(RGBA))))
    for index, name in enumerate(RGBA):
        if name in image.channels:
            image.channels[name][:] = np.float32(vector(core, "color")[index])
    return image


def _checks(shape, size: float, first: list[float], second: list[float]) -> Image:
    x, y, r, t = box_of(shape)
    columns = np.arange(x, r) - r / 2
    rows = (np.arange(y, t) - t / 2)[:, None]
    odd = (np.floor(columns / size) + np.floor(rows / size)) % 2
    image = black(shape, RGBA)
    for index, name in enumerate(RGBA):
        image.channels[name][:] = np.where(odd == 0, first[index], second[index])
    return image


def checkerboard(core: NodeCore, pull: Pull) -> Image:
    """CheckerBoard2 with its first two colours, without its lines."""
    size = vector(core, "boxsize")[0]
    return _checks(graph.format_of(core), size, vector(core, "color0"), vector(core, "color1"))


OPERATIONS: dict[str, Operation] = {
    "Read": read,
    "Constant": constant,
    "CheckerBoard2": checkerboard,
}
