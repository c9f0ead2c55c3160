"""nuke.execute: Write nodes to disk, frame by frame, with callbacks and cancel."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.fakes.nuke_standin import api_nodes
from tests.fakes.nuke_standin.core import NodeCore
from tests.fakes.nuke_standin.evaluate import NodeError, at_frame, image_of
from tests.fakes.nuke_standin.files import FileProblem, write_image
from tests.fakes.nuke_standin.image import Image
from tests.fakes.nuke_standin.knobs_text import at_frame as path_at
from tests.fakes.nuke_standin.nodes import Node, core_of
from tests.fakes.nuke_standin.ops_source import file_frame
from tests.fakes.nuke_standin.ops_views import at_view, in_view
from tests.fakes.nuke_standin.values import Format, FrameRange, FrameRanges
from tests.fakes.nuke_standin.world import World, active

NO_RENDER = {"OnCreate", "OnUserCreate", "OnDestroy", "KnobChanged", "UpdateUI"}


def _target(name_or_node: Any) -> NodeCore:
    if isinstance(name_or_node, Node):
        return core_of(name_or_node)
    found = api_nodes.toNode(name_or_node)
    if found is None:
        raise RuntimeError(f"No such node: {name_or_node}")
    return found._core


def _frames(world: World, args: tuple[Any, ...]) -> list[int]:
    if args and isinstance(args[0], FrameRange | FrameRanges):
        return list(args[0])
    root = world.root.knobs
    defaults = [int(root["first_frame"]._number(0)), int(root["last_frame"]._number(0)), 1]
    given = [*args[:3], *defaults[len(args[:3]) :]]
    if any(type(number) is not int for number in given):
        raise TypeError(f"frames are whole numbers, not {given!r}")
    return list(range(given[0], given[1] + 1, given[2]))


def _views(world: World, core: NodeCore, args: tuple[Any, ...]) -> list[str]:
    """The views asked for, all without such words, of those that the Write is set to."""
    by_set = bool(args) and isinstance(args[0], FrameRange | FrameRanges)
    given = args[1 if by_set else 3 :][:1]
    asked = list(given[0]) if given else list(world.views)
    unknown = [view for view in asked if view not in world.views]
    if unknown:
        raise RuntimeError(f"{core.full_name()}: the script has no view {unknown[0]!r}")
    kept = [view for view in core.knobs["views"]._raw_text().split() if view in world.views]
    views = [view for view in asked if not kept or view in kept]
    pattern = core.knobs["file"]._evaluated()  # type: ignore[attr-defined]
    if len(views) > 1 and in_view(pattern, world) == pattern:
        raise NotImplementedError("The stand-in writes no file that holds several views.")
    return views


def execute(nameOrNode, *args, continueOnError=False, **kwargs):
    """Render a Write. RuntimeError when a frame fails or the artist cancels."""
    names = ("start", "end", "incr", "views")
    unknown = set(kwargs) - set(names)
    if unknown:
        raise TypeError(f"execute() has no argument {sorted(unknown)}")
    ordered = (*args, *(kwargs[name] for name in names if name in kwargs))
    world, core = active(), _target(nameOrNode)
    if world.executing or NO_RENDER.intersection(world.callbacks_running):
        raise RuntimeError("I'm already executing something else")
    if core.class_name != "Write":
        raise RuntimeError(f"{core.full_name()} is not an executable node")
    world.executing = True
    try:
        frames, views = _frames(world, ordered), _views(world, core, ordered)
        _render(world, core, frames, views, continueOnError)
    finally:
        world.executing = False
        world.cancel_after_frames = None


def _render(
    world: World, core: NodeCore, frames: list[int], views: list[str], continue_on_error: bool
) -> None:
    if core.knobs["reading"]._number(0):
        raise RuntimeError(f"{core.full_name()}: cannot be executed while it reads its file")
    if core.knobs["use_limit"]._number(0):
        first, last = core.knobs["first"]._number(0), core.knobs["last"]._number(0)
        frames = [frame for frame in frames if first <= frame <= last]
    world.callbacks.fire("BeforeRender", core)
    for done, frame in enumerate(frames):
        if world.cancel_after_frames is not None and done >= world.cancel_after_frames:
            raise world.cancel_error("Cancelled")
        with at_frame(core, frame):
            world.callbacks.fire("BeforeFrameRender", core)
            try:
                for view in views:
                    with at_view(world, view):
                        render_frame(core, frame)
            except (FileProblem, NodeError) as error:
                if not continue_on_error:
                    raise RuntimeError(str(error)) from error
            world.callbacks.fire("AfterFrameRender", core)
    world.callbacks.fire("AfterRender", core)


def render_frame(core: NodeCore, frame: int) -> None:
    """Compute one frame and write it."""
    source = core.input_at(0)
    if source is None:
        raise FileProblem(f"{core.full_name()}: nothing is connected")
    root = core.world.root.knobs
    image, pattern = image_of(source, frame), core.knobs["file"]._evaluated()  # type: ignore[attr-defined]
    if root["proxy"]._number(0):
        image = _smaller(image, root["proxy_scale"]._number(0))
        pattern = core.knobs["proxy"]._evaluated() or pattern  # type: ignore[attr-defined]
    if not pattern:
        raise FileProblem(f"{core.full_name()}: no file name")
    write_image(core, image, path_at(in_view(pattern, core.world), file_frame(core, frame)))


def _smaller(image: Image, scale: float) -> Image:
    """Proxy resolution, by dropping pixels."""
    step = max(1, round(1 / scale))
    shape = Format(image.format.width() // step, image.format.height() // step, 0, 0, 0, 0,
                   image.format.pixelAspect())  # fmt: skip
    x, y, r, t = image.bbox
    box = (-(-x // step), -(-y // step), -(-r // step), -(-t // step))
    rows, columns = slice(box[1] * step - y, None, step), slice(box[0] * step - x, None, step)
    channels = {
        name: np.ascontiguousarray(pixels[rows, columns]) for name, pixels in image.channels.items()
    }
    return Image(shape, box, channels, image.metadata)


def executeMultiple(nodes, ranges=None, views=None, continueOnError=False):
    for node, (first, last, step) in zip(nodes, ranges, strict=True):
        execute(node, first, last, step, continueOnError=continueOnError)


EXPORTS = {"execute": execute, "render": execute, "executeMultiple": executeMultiple}
