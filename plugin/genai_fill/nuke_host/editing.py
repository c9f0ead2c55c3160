"""Touching the script: undo steps, quiet changes, Nuke's context, and text that Nuke reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import nuke

_TCL_SPECIAL = frozenset('[]$"{};')


@contextmanager
def undo_step(name: str) -> Iterator[None]:
    """Make everything inside one entry of the undo history."""
    nuke.Undo.begin(name)
    try:
        yield
    finally:
        nuke.Undo.end()


@contextmanager
def without_undo() -> Iterator[None]:
    """Keep what is inside out of the undo history."""
    was_disabled = bool(nuke.Undo.disabled())
    if not was_disabled:
        nuke.Undo.disable()
    try:
        yield
    finally:
        if not was_disabled:
            nuke.Undo.enable()


@contextmanager
def unnoticed() -> Iterator[None]:
    """Keep what is inside out of the undo history and of "unsaved changes"."""
    was_modified = bool(nuke.root().modified())
    with without_undo():
        try:
            yield
        finally:
            nuke.root().setModified(was_modified)


@contextmanager
def within(group: Any) -> Iterator[None]:
    """Make ``group`` Nuke's context: names are looked up in it, and new nodes go into it."""
    group.begin()
    try:
        yield
    finally:
        group.end()


def tcl_escaped(text: str) -> str:
    """Return a text that a TCL-evaluating knob takes literally.

    Backslashes must have become slashes already; what is left of them is escaped too.
    """
    escaped = text.replace("\\", "\\\\")
    return "".join(f"\\{char}" if char in _TCL_SPECIAL else char for char in escaped)


def html_escaped(text: str) -> str:
    """Return a text that a rich-text knob shows literally."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def first_word(entry: str) -> str:
    """Return the value of an enumeration entry, which may be ``value<tab>label``."""
    return entry.split("\t", maxsplit=1)[0]
