"""The inside of the node: showing a take through the inner Read and Switch."""

from __future__ import annotations

from typing import Any

from genai_fill.domain.takes import NO_TAKE, KnownTake
from genai_fill.nuke_host.editing import tcl_escaped
from genai_fill.nuke_host.fill_nodes import inner

PLATE, MATTE = 0, 1
"""The numbers of the node's inputs."""


def show_take(node: Any, take: KnownTake | None) -> None:
    """Point the inner Read at a take and let it through; None lets the plate through."""
    if take is not None:
        _point_read(inner(node, "TakeRead"), take, hold=_is_still(node, take))
    inner(node, "TakeSwitch")["which"].setValue(0 if take is None else 1)
    label = NO_TAKE if take is None else take.label
    if node["take"].value() != label:
        node["take"].setValue(label)


def shows(node: Any, take: KnownTake | None) -> bool:
    """Whether the node shows this take (None: the plate) already."""
    through = int(inner(node, "TakeSwitch")["which"].value())
    if take is None:
        return through == 0
    file = inner(node, "TakeRead")["file"].value()
    return through == 1 and file == tcl_escaped(take.take.path_pattern)


def _point_read(read: Any, take: KnownTake, *, hold: bool) -> None:
    # Setting the file does not tell Nuke the range; reading it from disk would, but frames
    # are still to come. So everything is said outright.
    frames = take.take.frame_range
    outside = "hold" if hold else "black"
    read["file"].setValue(tcl_escaped(take.take.path_pattern))
    for knob, value in (
        ("first", int(frames.first)),
        ("last", int(frames.last)),
        ("origfirst", int(frames.first)),
        ("origlast", int(frames.last)),
        ("origset", True),
        ("before", outside),
        ("after", outside),
        ("on_error", "black"),
        ("raw", True),
        ("localizationPolicy", "off"),
    ):
        read[knob].setValue(value)
    read["reload"].execute()


def _is_still(node: Any, take: KnownTake) -> bool:
    """Whether one frame was filled on a plate that is one frame: then it holds like it."""
    plate = node.input(PLATE)
    return (
        len(take.take.frame_range) == 1
        and plate is not None
        and int(plate.firstFrame()) == int(plate.lastFrame())
    )


def reload_take(node: Any) -> None:
    """Make Nuke forget what it knows of the shown take's frames, missing ones above all."""
    inner(node, "TakeRead")["reload"].execute()
