"""The node's own words: the status line, and its label in the node graph."""

from __future__ import annotations

import textwrap
from typing import Any

from genai_fill.domain.status_text import tells_of_gap
from genai_fill.nuke_host.editing import html_escaped, tcl_escaped
from genai_fill.nuke_host.knobs import read_value

_LABEL_WIDTH = 44


def say(node: Any, text: str, *, is_error: bool) -> None:
    """Show a text on the node; an error in the node graph too.

    The label is the artist's: it is written only while it is empty or holds our last text.
    """
    status = node.knob("status")
    label = node["label"]
    ours = node.knob("said_label")
    last = str(ours.value()) if ours is not None else ""
    if status is not None:
        status.setValue(html_escaped(text) or " ")
    wanted = _label_of(text) if is_error else ""
    # value() gives the text as it was set, before TCL evaluates it.
    if ours is not None and str(label.value() or "") in ("", last):
        if str(label.value() or "") != wanted:
            label.setValue(wanted)
        ours.setValue(wanted)


def tell_of_gaps(node: Any, text: str) -> None:
    """Say which frames the take shown has not; empty takes back what was said of another.

    Never over an error: that one is to be read first.
    """
    status = node.knob("status")
    if status is None or read_value(node, "said_label", ""):
        return
    if text or tells_of_gap(str(status.value())):
        status.setValue(html_escaped(text) or " ")


def _label_of(text: str) -> str:
    return tcl_escaped("\n".join(textwrap.wrap(text, _LABEL_WIDTH)))
