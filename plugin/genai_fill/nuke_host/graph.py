"""The inside of the node: showing a take through the inner Read and Switch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from genai_fill.domain.status_text import gap_text
from genai_fill.domain.takes import NO_TAKE, KnownTake, reading_of
from genai_fill.nuke_host import status
from genai_fill.nuke_host.editing import tcl_escaped, unnoticed
from genai_fill.nuke_host.fill_nodes import inner
from genai_fill.nuke_host.knobs import keep_shown, read_value
from genai_fill.nuke_host.shown import PLATE_SHOWN, is_of, shown_file
from genai_fill_contract.plate import path_at
from genai_fill_contract.take import Take

PLATE, MATTE = 0, 1
"""The numbers of the node's inputs."""

_UNUSED: Mapping[str, object] = {
    "file": "",
    "first": 1,
    "last": 1,
    "origfirst": 1,
    "origlast": 1,
    "before": "black",
    "after": "black",
    "on_error": "black",
}
"""The inner Read while no take is shown. The report reads it even then: it must be no error."""


def show_take(node: Any, take: KnownTake | None) -> None:
    """Point the inner Read at a take and let it through; None lets the plate through."""
    read, switch, gaps = inner(node, "TakeRead"), inner(node, "TakeSwitch"), ""
    keep_shown(node)
    # Always from the beginning, so that an undo step holds the whole of what was shown before.
    # What a job has shown meanwhile is in no step: else the file of one take would come back
    # with the range of another.
    switch["which"].setValue(0)
    _set_all(read, _UNUSED)
    if take is not None:
        gaps = _point_read(node, read, take)
        switch["which"].setValue(1)
    label = NO_TAKE if take is None else take.label
    if node["take"].value() != label:
        node["take"].setValue(label)
    with unnoticed():
        status.tell_of_gaps(node, gaps)


def shows(node: Any, take: KnownTake | None) -> bool:
    """Whether the node shows this take (None: the plate) already."""
    file = shown_file(node)
    return file == PLATE_SHOWN if take is None else is_of(file, take)


def _point_read(node: Any, read: Any, take: KnownTake) -> str:
    """Let the Read read a take; return what is to be said of frames that it has not."""
    # Setting the file does not tell Nuke the range or the format; reading it from disk would,
    # but frames are still to come. So everything is said outright.
    growing = read_value(node, "job_id", "") == take.take.job_id
    made = frozenset(take.take.frames_done) if growing else _frames_made(take.take)
    reading = reading_of(take.take, made, growing=growing)
    frames = reading.frames
    outside = "hold" if _is_still(node, take) else "black"
    _set_all(
        read,
        {
            "file": tcl_escaped(take.take.path_pattern),
            "first": int(frames.first),
            "last": int(frames.last),
            "origfirst": int(frames.first),
            "origlast": int(frames.last),
            "origset": True,
            "before": outside,
            "after": outside,
            "on_error": "error" if reading.missing_is_error else "black",
            "raw": True,
            "localizationPolicy": "off",
        },
    )
    plate = node.input(PLATE)
    if plate is not None:
        read["format"].setValue(plate.format())  # or black frames have the script's
    read["reload"].execute()
    return "" if growing else gap_text(take.label, set(take.take.frame_range) - made)


def _set_all(read: Any, values: Mapping[str, object]) -> None:
    for knob, value in values.items():
        read[knob].setValue(value)


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
