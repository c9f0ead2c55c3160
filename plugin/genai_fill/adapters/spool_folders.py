"""Folders where plates wait for the backend: made by us, and only then deleted by us."""

from __future__ import annotations

import re
import uuid
from contextlib import suppress
from pathlib import Path

from genai_fill_contract.errors import OutputNotWritable

MARKER = ".genai-fill-spool"
_OURS = re.compile(r"(plate|matte)\.-?\d+\.exr")


class DiskSpoolFolders:
    """`genai_fill.app.ports.SpoolFolders` on a disk that Nuke and the backend share."""

    def create(self, parent: str, name: str) -> str:
        """Make ``<parent>/<name>_<random>`` with our marker and return it, forward slashes.

        Raises `OutputNotWritable`.
        """
        folder = Path(parent) / f"{name}_{uuid.uuid4().hex[:12]}"
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir()
            (folder / MARKER).write_text("Plates waiting for GenAI Fill; safe to delete.\n")
        except OSError as error:
            raise OutputNotWritable(
                f"The spool folder {folder} cannot be made ({error.strerror}).",
                hint="Choose an output directory that you can write to, or set spool.dir.",
            ) from error
        return folder.as_posix()

    def discard(self, folder: str) -> None:
        """Delete our plates and the marker; the folder too, if that leaves it empty."""
        path = Path(folder)
        marker = path / MARKER
        # A link could lead anywhere, so a folder behind one is not ours.
        if path.is_symlink() or marker.is_symlink() or not marker.is_file():
            return
        with suppress(OSError):
            for entry in path.iterdir():
                if _OURS.fullmatch(entry.name) and not entry.is_dir():
                    entry.unlink()
            marker.unlink()
            path.rmdir()
            path.parent.rmdir()  # ".../spool": fails, rightly, while others are in it
