"""Rendering plate, matte and optional inputs to the spool, by the node's own Write nodes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import nuke

from genai_fill.app.ports import HostBusy
from genai_fill.app.watch import FillStopped
from genai_fill.nuke_host.editing import tcl_escaped, unnoticed
from genai_fill.nuke_host.fill_nodes import inner
from genai_fill.nuke_host.footage import is_file_as_it_is
from genai_fill.nuke_host.graph import MATTE, PLATE
from genai_fill.nuke_host.optional_inputs import CONTROL, MOTION, PATCH, REFERENCE
from genai_fill_contract.errors import NukeFailed
from genai_fill_contract.plate import InputRole, path_at

HALF, FLOAT = "16 bit half", "32 bit float"
_HALF_METADATA = "16-bit half float"

_INPUTS = {
    InputRole.REFERENCE: ("SpoolReference", REFERENCE, "rgb"),
    InputRole.MOTION_FORWARD: ("SpoolMotion", MOTION, "forward"),
    InputRole.MOTION_BACKWARD: ("SpoolMotion", MOTION, "backward"),
    InputRole.STMAP: ("SpoolMotion", MOTION, "rgb"),
    InputRole.PATCH: ("SpoolPatch", PATCH, "rgba"),
    InputRole.CONTROL: ("SpoolControl", CONTROL, "rgb"),
}
"""Role -> the inner Write, the number of the node's input, the channels."""


def spool_plate(node: Any, pattern: str, frame: int, view: str) -> None:
    """Render one frame of the plate's RGB: no colour conversion, whole bounding box."""
    depth = bit_depth(node.input(PLATE))
    _spool(node, "SpoolPlate", depth, "rgb", pattern, frame, view)


def spool_matte(node: Any, pattern: str, frame: int, view: str) -> None:
    """Render one frame of the matte's chosen channel, as alpha."""
    depth = bit_depth(node.input(MATTE))
    _spool(node, "SpoolMatte", depth, "alpha", pattern, frame, view)


def spool_input(node: Any, role: InputRole, pattern: str, frame: int, view: str) -> None:
    """Render one frame of an optional input: the channels of its role, data as float."""
    writer, number, channels = _INPUTS[role]
    depth = bit_depth(node.input(number)) if role.is_colour else FLOAT
    _spool(node, writer, depth, channels, pattern, frame, view)


def _spool(
    node: Any, writer: str, depth: str, channels: str, pattern: str, frame: int, view: str
) -> None:
    write = inner(node, writer)
    if nuke.executing():
        # The artist's own render, or another node's plate. A second one would fail, and the
        # proxy switch must not move under the first.
        raise HostBusy
    with unnoticed(), full_resolution(), _file_of(write, pattern):
        for knob, value in (
            ("file_type", "exr"),  # before the codec's knobs, which it brings
            ("datatype", depth),
            ("compression", "Zip (16 scanlines)"),
            ("metadata", "all metadata except input/*"),
            ("autocrop", False),
            ("channels", channels),
            ("raw", True),
            ("create_directories", True),
            ("views", view),
        ):
            write[knob].setValue(value)
        _execute(write, frame, view)
    if not os.path.isfile(path_at(pattern, frame)):  # noqa: PTH113 - a plain question
        raise NukeFailed(
            f"Nuke wrote no file for frame {frame} of {writer}.",
            hint="Look at the node's inputs, and at the folder that plates are written to.",
        )


def _execute(write: Any, frame: int, view: str) -> None:
    try:
        nuke.execute(write, int(frame), int(frame), 1, [view])
    except (RuntimeError, nuke.CancelledError) as error:
        if isinstance(error, nuke.CancelledError) or "cancel" in str(error).lower():
            raise FillStopped from error  # Cancel on Nuke's own progress bar
        raise NukeFailed(
            f"Nuke could not render frame {frame}: {error}",
            hint="Look at what is connected to the node; its error is there too.",
        ) from error


def bit_depth(source: Any) -> str:
    """Return the data type that keeps every value of an input: half only if it is half.

    A node behind a half file makes floats of it, and hands the file's metadata on.
    """
    if source is None or not is_file_as_it_is(source):
        return FLOAT
    return HALF if source.metadata("input/bitsperchannel") == _HALF_METADATA else FLOAT


@contextmanager
def full_resolution() -> Iterator[None]:
    """Render at full size, whatever the artist looks at; the proxy switch is put back."""
    proxy: Any = nuke.root()["proxy"]
    was = bool(proxy.value())
    if was:
        proxy.setValue(False)
    try:
        yield
    finally:
        if was:
            proxy.setValue(True)


@contextmanager
def _file_of(write: Any, pattern: str) -> Iterator[None]:
    """Write to ``pattern``; afterwards the node holds no path, so no script does."""
    write["file"].setValue(tcl_escaped(pattern))
    try:
        yield
    finally:
        write["file"].setValue("")
