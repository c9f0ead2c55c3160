"""What one check of the doctor found."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass


class Level(enum.StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One line: what was found, and what to do about it (empty when nothing)."""

    level: Level
    what: str
    to_do: str = ""


Check = Callable[[], list[Finding]]


def ok(what: str) -> list[Finding]:
    """Return the one finding that all is well."""
    return [Finding(Level.OK, what)]


def warn(what: str, to_do: str) -> list[Finding]:
    """Return the one finding that something is less than it could be."""
    return [Finding(Level.WARN, what, to_do)]


def fail(what: str, to_do: str) -> list[Finding]:
    """Return the one finding that something will not work."""
    return [Finding(Level.FAIL, what, to_do)]
