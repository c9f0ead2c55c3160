"""Folders where plates wait for the backend: made by us, and only then deleted by us."""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from genai_fill_contract.errors import OutputNotWritable
from genai_fill_contract.plate import InputRole

MARKER = ".genai-fill-spool"
_NAMES = "|".join(["plate", "matte", *(role.value for role in InputRole)])
_OURS = re.compile(rf"({_NAMES})\.-?\d+\.exr")


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
        if not _is_ours(path):
            return
        with suppress(OSError):
            for entry in path.iterdir():
                if _OURS.fullmatch(entry.name) and not entry.is_dir():
                    entry.unlink()
            marker.unlink()
            path.rmdir()
            path.parent.rmdir()  # ".../spool": fails, rightly, while others are in it

    def sweep(self, parent: str, *, older_than_s: float, in_use: Collection[str]) -> None:
        """Discard old folders of ours right under ``parent`` that are not ``in_use``.

        As old as the youngest file in it: whoever still writes or was taken up again counts.
        """
        busy = {os.path.normcase(os.path.normpath(folder)) for folder in in_use}
        latest = time.time() - older_than_s
        with suppress(OSError):
            for folder in sorted(Path(parent).iterdir()):
                if not _is_ours(folder) or os.path.normcase(folder) in busy:
                    continue
                if _last_touched_s(folder) < latest:
                    self.discard(folder.as_posix())


def _is_ours(folder: Path) -> bool:
    """Whether a folder has our marker. A link could lead anywhere: behind one, it is not ours."""
    marker = folder / MARKER
    return not folder.is_symlink() and not marker.is_symlink() and marker.is_file()


def _last_touched_s(folder: Path) -> float:
    """Return when anything in a folder was written last; now, if that cannot be told."""
    try:
        return max(entry.stat(follow_symlinks=False).st_mtime for entry in os.scandir(folder))
    except (OSError, ValueError):
        return time.time()
