"""Hashes of files of any size, read in pieces."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

_PIECE_BYTES = 4 * 2**20


def sha256_of(path: Path, advance: Callable[[int], None]) -> str:
    """Return the SHA-256 of a file, in hex. ``advance`` is told the bytes as they are read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
            advance(len(piece))
    return digest.hexdigest()


def copy_hashed(source: Path, target: Path, advance: Callable[[int], None]) -> str:
    """Copy a file and return the SHA-256 of what was written. ``target`` must not exist."""
    digest = hashlib.sha256()
    with source.open("rb") as read, target.open("xb") as write:
        while piece := read.read(_PIECE_BYTES):
            digest.update(piece)
            write.write(piece)
            advance(len(piece))
    return digest.hexdigest()


def git_oid_of(path: Path) -> str:
    """Return git's SHA-1 of a small file as a blob: the hub's only hash for files not in LFS."""
    digest = hashlib.sha1(usedforsecurity=False)
    data = path.read_bytes()
    digest.update(b"blob %d\0" % len(data))
    digest.update(data)
    return digest.hexdigest()
