"""Heroes in the job's scratch folder, so that a resumed job need not generate them again."""

from __future__ import annotations

import logging
import zipfile
from pathlib import Path

import numpy as np

from genai_fill_contract.plate import Window
from genai_fill_server.engines.hero.shots import Hero

_LOG = logging.getLogger(__name__)


class HeroStore:
    """Heroes by take and number. An empty ``folder`` keeps nothing."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder) if folder else None

    def load(self, take_index: int, number: int) -> Hero | None:
        """Return a kept hero, None when there is none or its file is damaged."""
        if self._folder is None:
            return None
        path = self._path(self._folder, take_index, number)
        if not path.is_file():
            return None
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
                hero = Hero(
                    int(kept["frame"]),
                    Window(*(int(side) for side in kept["window"])),
                    np.asarray(kept["rgb"], np.float32),
                    np.asarray(kept["alpha"], np.float32),
                )
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            _LOG.warning("a kept hero frame cannot be read and is made again: %s", error)
            return None
        size = (hero.window.height, hero.window.width)
        return hero if hero.rgb.shape == (*size, 3) and hero.alpha.shape == size else None

    def save(self, take_index: int, number: int, hero: Hero) -> None:
        """Keep a hero, whole or not at all. A full disk costs the next run its time only."""
        if self._folder is None:
            return
        path = self._path(self._folder, take_index, number)
        partial = path.with_suffix(".part")
        window = hero.window
        try:
            with partial.open("wb") as file:
                np.savez(
                    file,
                    frame=np.int64(hero.frame),
                    window=np.array([window.x0, window.y0, window.x1, window.y1], np.int64),
                    rgb=hero.rgb,
                    alpha=hero.alpha,
                )
            partial.replace(path)
        except OSError as error:
            _LOG.warning("a hero frame could not be kept: %s", error)
            partial.unlink(missing_ok=True)

    def _path(self, folder: Path, take_index: int, number: int) -> Path:
        return folder / f"hero_{take_index}_{number}.npz"
