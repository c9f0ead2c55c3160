"""What the inside of a node lets through to its output: the plate, or a take."""

from __future__ import annotations

from typing import Any

from genai_fill.domain.takes import KnownTake
from genai_fill.nuke_host.editing import tcl_escaped

PLATE_SHOWN = ""


def shown_file(node: Any) -> str | None:
    """Return the file that comes through, as its knob has it, or `PLATE_SHOWN`.

    None when somebody removed what is inside.
    """
    switch, read = node.node("TakeSwitch"), node.node("TakeRead")
    if switch is None or read is None:
        return None
    return str(read["file"].value() or "") if int(switch["which"].value()) else PLATE_SHOWN


def is_of(file: str | None, take: KnownTake) -> bool:
    """Whether a file, as `shown_file` gives it, is that of a take."""
    return file == tcl_escaped(take.take.path_pattern)
