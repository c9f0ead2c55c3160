"""Whether a file lies where the backend may read."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable


def is_under(path: str, roots: Iterable[str]) -> bool:
    """Whether ``path`` lies under one of ``roots``; with no roots told, it is taken to.

    A guess that saves a useless request: the backend resolves links and decides.
    Both separators are read; nothing on disk is looked at.
    """
    given = [_plain(root) for root in roots]
    if not given:
        return True
    wanted = _plain(path)
    return any(wanted == root or wanted.startswith(root.rstrip("/") + "/") for root in given)


def _plain(path: str) -> str:
    return posixpath.normpath(path.replace("\\", "/"))
