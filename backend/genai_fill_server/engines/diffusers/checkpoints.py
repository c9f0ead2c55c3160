"""What a video engine keeps on disk so that a resumed job need not start over.

A window starts from frames that the window before made. Those are at the model's size and
in its colours, so they cannot be read back from the takes; they are kept as float32, so a
resumed job gives the same bits.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from genai_fill_server.service.ports import FloatImage

_KEPT = 2


class Checkpoints:
    """The last states of one take's windows, in ``folder`` ("" keeps nothing).

    ``facts`` is all that the pictures depend on: a state that was made under other facts is
    not found. Failing to write costs time after a restart, never the job.
    """

    def __init__(self, folder: str, facts: Mapping[str, object]) -> None:
        self._folder = Path(folder) if folder else None
        text = json.dumps(facts, sort_keys=True, default=str)
        self._key = hashlib.sha256(text.encode()).hexdigest()[:24]

    def save(self, window: int, frames: Mapping[int, FloatImage]) -> bool:
        """Keep the frames that the window after ``window`` starts from. False: not kept."""
        if self._folder is None:
            return False
        path = self._path(window)
        temporary = path.with_suffix(".part")
        arrays: dict[str, Any] = {str(frame): pixels for frame, pixels in frames.items()}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                np.savez(file, **arrays)
            os.replace(temporary, path)  # noqa: PTH105 - atomic, and named so
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            return False
        with contextlib.suppress(OSError):
            self._path(window - _KEPT).unlink(missing_ok=True)
        return True

    def load(self, window: int, frames: list[int]) -> dict[int, FloatImage] | None:
        """Return the state after ``window`` if it is there, whole, with just ``frames``."""
        if self._folder is None:
            return None
        try:
            with (
                self._path(window).open("rb") as file,
                np.load(file, allow_pickle=False) as stored,
            ):
                state = {int(name): np.asarray(stored[name]) for name in stored.files}
        except (OSError, ValueError, zipfile.BadZipFile, EOFError):
            return None
        if sorted(state) != frames or any(p.dtype != np.float32 for p in state.values()):
            return None
        return state

    def clear(self) -> None:
        """Remove what is kept: the take is done."""
        if self._folder is not None:
            for path in self._folder.glob(f"{self._key}_*.npz"):
                with contextlib.suppress(OSError):
                    path.unlink()

    def _path(self, window: int) -> Path:
        assert self._folder is not None
        return self._folder / f"{self._key}_{window:04d}.npz"
