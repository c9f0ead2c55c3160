"""What the model store needs of the world."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from genai_fill_server.models.entries import Inspection

Roots = tuple[Path, ...]


@dataclass(frozen=True)
class RemoteFile:
    """A file of a repository. ``sha256`` is known for large files, ``git_oid`` for all.

    ``git_oid`` is git's SHA-1 of the blob; for a large file it is that of its pointer.
    """

    name: str
    size_bytes: int
    sha256: str = ""
    git_oid: str = ""


@dataclass(frozen=True)
class RemoteModel:
    """A repository at one commit."""

    commit: str
    files: tuple[RemoteFile, ...]


class Hub(Protocol):
    """Where published models come from. The only thing that uses the network."""

    def list_files(self, repository: str, revision: str) -> RemoteModel:
        """Return the files at ``revision``. Raises `ModelMissing` saying what to do."""

    def fetch(
        self,
        repository: str,
        commit: str,
        name: str,
        folder: Path,
        advance: Callable[[int], None],
    ) -> None:
        """Write one file to ``folder / name``; ``advance`` is told the bytes as they come.

        Raises `ModelMissing`, `DiskFull`, `OutputNotWritable`.
        """

    def tidy(self, folder: Path) -> None:
        """Remove what the hub's own library left in ``folder`` beside the files."""


class ModelFolders(Protocol):
    """What the engines know of model folders."""

    def find(self, dirs: Roots) -> Iterator[tuple[str, Path]]:
        """Yield (name, path) of every model under ``dirs``."""

    def inspect(self, path: Path, roots: Roots, name: str = "") -> Inspection:
        """Say whether the folder can be used. Links may lead within ``roots``.

        ``name`` is what it will be called, where that is not the folder's own name.
        """


class Progress(Protocol):
    """Who is told how far a long step is. May raise to stop it."""

    def start(self, what: str, total_bytes: int) -> None:
        """Say what begins, and how much it is."""

    def advance(self, done_bytes: int) -> None:
        """Say that so much more is done."""


class Held(Protocol):
    """A lock that is held."""

    def release(self) -> None:
        """Give it back."""


TryLock = Callable[[Path], Held | None]
"""Locks a file for this process; None when another process has it."""

FreeBytes = Callable[[Path], int]
"""How much room there is on a folder's disk."""

Clock = Callable[[], str]
"""Returns the time as ISO 8601 text, in UTC."""
