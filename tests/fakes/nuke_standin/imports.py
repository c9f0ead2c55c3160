"""What Nuke's Python can import: the standard library, Qt, OCIO, nuke. Nothing else.

The tests run where numpy and the like are installed, so an import that would stop Nuke from
starting would pass unnoticed. While a session runs, imports *made by plug-in code* are checked.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

PRESENT = {"nuke", "nukescripts", "PySide6", "shiboken6", "PyOpenColorIO"}


@contextmanager
def as_in_nuke(
    plug_ins: Sequence[str], namespace: dict[str, Any], unavailable: Sequence[str]
) -> Iterator[None]:
    """Raise ModuleNotFoundError for what ``plug_ins`` and start files cannot import in Nuke."""
    original, running = builtins.__import__, [True]
    allowed = (PRESENT | sys.stdlib_module_names | set(plug_ins)) - set(unavailable)

    def checked(
        name: str,
        globals: Any = None,
        locals: Any = None,
        fromlist: Sequence[str] = (),
        level: int = 0,
    ) -> Any:
        if running[0] and level == 0 and globals is not None:
            caller = str(globals.get("__name__", "")).partition(".")[0]
            top = name.partition(".")[0]
            if (caller in plug_ins or globals is namespace) and top not in allowed:
                raise ModuleNotFoundError(f"No module named {name!r} in Nuke's Python", name=name)
        return original(name, globals, locals, fromlist, level)

    builtins.__import__ = checked
    try:
        yield
    finally:
        running[0] = False
        if builtins.__import__ is checked:
            builtins.__import__ = original
