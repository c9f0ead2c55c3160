"""Pull a picture through the graph, as a Viewer or Write does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.fakes.nuke_standin import graph, ops_combine, ops_pixel, ops_source, ops_views
from tests.fakes.nuke_standin.core import NodeCore
from tests.fakes.nuke_standin.expressions import ExpressionError
from tests.fakes.nuke_standin.files import FileProblem
from tests.fakes.nuke_standin.image import Image, black, full_name
from tests.fakes.nuke_standin.ops_base import Pull
from tests.fakes.nuke_standin.tcl import TclError

OPERATIONS = {
    **ops_source.OPERATIONS,
    **ops_combine.OPERATIONS,
    **ops_pixel.OPERATIONS,
    **ops_views.OPERATIONS,
}


class NodeError(RuntimeError):
    """A node is in error. ``core`` is the node whose fault it is."""

    def __init__(self, core: NodeCore, message: str) -> None:
        super().__init__(f"{core.full_name()}: {message}")
        self.core = core


@contextmanager
def at_frame(core: NodeCore, frame: float) -> Iterator[None]:
    """Let the script's frame be ``frame`` for a while (expressions and keys follow it)."""
    knob = core.world.root.knobs["frame"]
    before = knob._state()
    knob._restore(([float(frame)], {}, {}))
    try:
        yield
    finally:
        knob._restore(before)


def image_of(core: NodeCore, frame: float) -> Image:
    """The picture of a node at a frame. Raises NodeError or NotImplementedError."""
    with at_frame(core, frame):
        try:
            return _image(core, frame)
        except (FileProblem, ExpressionError, TclError) as error:
            raise NodeError(core, str(error)) from error


def _unconnected(core: NodeCore) -> Image:
    return black(core.world.root.knobs["format"]._current())  # type: ignore[attr-defined]


def _image(core: NodeCore, frame: float) -> Image:
    def pull(index: int, at: float | None = None) -> Image:
        source = core.input_at(index)
        return (
            _unconnected(core) if source is None else image_of(source, frame if at is None else at)
        )

    if core.class_name == "Input":
        source = graph.source_of(core)
        return _unconnected(core) if source is None else image_of(source, frame)
    if core.disabled():
        return pull(0)
    if core.is_group:
        output = graph.source_of(core)
        return _unconnected(core) if output is None else image_of(output, frame)
    operation = OPERATIONS.get(core.class_name)
    if operation is None:
        raise NotImplementedError(f"The stand-in cannot compute {core.class_name} nodes.")
    return operation(core, Pull(pull, frame))


def current_image(core: NodeCore) -> Image:
    """The picture at the script's frame."""
    return image_of(core, core.world.root.knobs["frame"]._number(0))


def error_of(core: NodeCore, own: bool) -> str | None:
    """What is wrong with the node (``own``) or with anything above it; None when nothing is."""
    try:
        current_image(core)
    except NodeError as error:
        return str(error) if error.core is core or not own else None
    return None


def metadata(core: NodeCore, frame: float | None) -> dict[str, Any]:
    try:
        wanted = core.world.root.knobs["frame"]._number(0) if frame is None else frame
        return dict(image_of(core, wanted).metadata)
    except NodeError:
        return {}


def sample(core: NodeCore, channel: str, x: float, y: float, dx: Any, dy: Any, frame: Any) -> float:
    """A pixel, or the mean of a dx × dy box round (x, y). Coordinates are pixel corners."""
    image = current_image(core) if frame is None else image_of(core, frame)
    wide, high = int(dx or 1), int(dy or 1)
    left = int(x if dx is None else x - wide / 2)
    low = int(y if dy is None else y - high / 2)
    box = (left, low, left + wide, low + high)
    return float(image.channel(full_name(channel), box).mean())
