"""The inside of the node: showing a take through the inner Read and Switch."""

from __future__ import annotations

import os
from typing import Any

from genai_fill.domain.status_text import gap_text
from genai_fill.domain.takes import NO_TAKE, KnownTake, reading_of
from genai_fill.nuke_host import status
from genai_fill.nuke_host.editing import tcl_escaped, unnoticed
from genai_fill.nuke_host.fill_nodes import inner
from genai_fill.nuke_host.knobs import read_value
from genai_fill_contract.plate import path_at
from genai_fill_contract.take import Take

PLATE, MATTE = 0, 1
"""The numbers of the node's inputs."""


def show_take(node: Any, take: KnownTake | None) -> None:
    """Point the inner Read at a take and let it through; None lets the plate through."""
    read, gaps = inner(node, "TakeRead"), ""
    if take is None:
        read["on_error"].setValue("black")  # the report reads it on, whatever became of its files
    else:
        gaps = _point_read(node, read, take)
    inner(node, "TakeSwitch")["which"].setValue(0 if take is None else 1)
    label = NO_TAKE if take is None else take.label
    if node["take"].value() != label:
        node["take"].setValue(label)
    with unnoticed():
        status.tell_of_gaps(node, gaps)


def shows(node: Any, take: KnownTake | None) -> bool:
    """Whether the node shows this take (None: the plate) already."""
    through = int(inner(node, "TakeSwitch")["which"].value())
    if take is None:
        return through == 0
    file = inner(node, "TakeRead")["file"].value()
    return through == 1 and file == tcl_escaped(take.take.path_pattern)


def _point_read(node: Any, read: Any, take: KnownTake) -> str:
    """Let the Read read a take; return what is to be said of frames that it has not."""
    # Setting the file does not tell Nuke the range; reading it from disk would, but frames
    # are still to come. So everything is said outright.
    growing = read_value(node, "job_id", "") == take.take.job_id
    made = frozenset(take.take.frames_done) if growing else _frames_made(take.take)
    reading = reading_of(take.take, made, growing=growing)
    frames = reading.frames
    outside = "hold" if _is_still(node, take) else "black"
    read["file"].setValue(tcl_escaped(take.take.path_pattern))
    for knob, value in (
        ("first", int(frames.first)),
        ("last", int(frames.last)),
        ("origfirst", int(frames.first)),
        ("origlast", int(frames.last)),
        ("origset", True),
        ("before", outside),
        ("after", outside),
        ("on_error", "error" if reading.missing_is_error else "black"),
        ("raw", True),
        ("localizationPolicy", "off"),
    ):
        read[knob].setValue(value)
    read["reload"].execute()
    return "" if growing else gap_text(take.label, set(take.take.frame_range) - made)


def _frames_made(take: Take) -> frozenset[int]:
    """Return the frames of a take that nobody works on: those told of, and those on disk.

    A job goes on when nobody listens: a copy of the node, or one whose backend was lost, does
    not hear of the frames that came later.
    """
    told = frozenset(take.frames_done)
    paths = {
        frame: path_at(take.path_pattern, frame) for frame in take.frame_range if frame not in told
    }
    # Not Path.is_file, which raises where a folder may not be looked into.
    return told.union(frame for frame in paths if os.path.isfile(paths[frame]))  # noqa: PTH113


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
