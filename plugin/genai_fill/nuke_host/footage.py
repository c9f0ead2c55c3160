"""When an input is just a Read of EXRs in the working space: pass its files on directly."""

from __future__ import annotations

import posixpath
import re
from typing import Any

import nuke

from genai_fill.app.ports import Footage
from genai_fill.nuke_host.colour import SCENE_LINEAR, working_space
from genai_fill.nuke_host.editing import first_word
from genai_fill.nuke_host.knobs import read_value
from genai_fill_contract.plate import FrameRange, is_still

_TOKEN = re.compile(r"%0?\d*d|#+")
_MAX_DOTS = 64


def footage_of(source: Any, *, channel: str = "") -> Footage | None:
    """Return the files behind ``source`` if their pixels are what the node would render.

    ``channel`` is the one that is needed, for mattes. None whenever anything could make
    the render differ from the file: then the plate is spooled, which is always right.
    """
    read = _read_behind(source)
    if read is None or len(nuke.views()) != 1 or not _reads_plainly(read):
        return None
    pattern = str(read["file"].value() or "")
    if not _is_plain_pattern(pattern) or not _has_channel(read, channel):
        return None
    first, last = int(read["first"].value()), int(read["last"].value())
    if last < first:
        return None
    return Footage(pattern, FrameRange(first, last), channel)


def is_file_as_it_is(source: Any) -> bool:
    """Whether ``source`` is a Read, behind Dots at most, that changes none of its pixels."""
    read = _read_behind(source)
    return read is not None and _reads_plainly(read)


def _read_behind(source: Any) -> Any:
    node = source
    for _ in range(_MAX_DOTS):
        if node is None or node.Class() != "Dot":
            break
        node = node.input(0)
    return node if node is not None and node.Class() == "Read" else None


def _reads_plainly(read: Any) -> bool:
    """Whether the Read neither moves frames nor changes pixels."""
    if read_value(read, "disable", False) or str(read_value(read, "frame", "")).strip():
        return False
    if read_value(read, "premultiplied", False) or read["file"].isAnimated():
        return False
    if read_value(read, "raw", False):
        return True
    # The role names the working space only where Nuke names no other: a script can work in
    # another space than its config's scene_linear, and then Nuke converts on the way in.
    space = first_word(str(read_value(read, "colorspace", "")))
    return space == (working_space() or SCENE_LINEAR)


def _has_channel(read: Any, channel: str) -> bool:
    """Whether the file has the channel; an alpha that Nuke makes up is not in the file."""
    if not channel:
        return True
    return channel in read.channels() and not read_value(read, "auto_alpha", False)


def _is_plain_pattern(pattern: str) -> bool:
    """Whether a path is absolute, an EXR sequence, and free of TCL and of views."""
    if not pattern.lower().endswith(".exr") or re.search(r"[\[\]$\\{}]|%[vV]", pattern):
        return False
    if not (posixpath.isabs(pattern) or re.match(r"[A-Za-z]:/", pattern)):
        return False
    # One token, in the file's name: a second one would be a version or a folder.
    return (
        not is_still(pattern)
        and len(_TOKEN.findall(pattern)) == 1
        and _TOKEN.search(posixpath.basename(pattern)) is not None
    )
