"""What every case has in common: an object before known frames, exposure, grain.

A case is made from frames of light without the object. The object is a soft blob of another
texture, so a plate holds nothing of what it hides and no method can peek.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

WIDTH, HEIGHT, FRAMES = 480, 270, 20

Path = Callable[[int], tuple[float, float]]


@dataclass(frozen=True)
class Case:
    """One shot: (n, h, w, 3) plates and truths, (n, h, w) mattes."""

    name: str
    kind: str
    plates: np.ndarray
    mattes: np.ndarray
    truths: np.ndarray


@dataclass(frozen=True)
class Look:
    """How the camera records light: exposure drift in stops, grain (1: usual), its seed."""

    seed: int
    drift: float = 0.12
    grain: float = 1.0


def linear(picture: np.ndarray) -> np.ndarray:
    """Return linear light of an 8-bit sRGB picture, (h, w, 3)."""
    coded = picture.astype(np.float32) / 255.0
    if coded.ndim == 2:
        coded = np.repeat(coded[..., None], 3, axis=2)
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4).astype(
        np.float32
    )


def blob(x: float, y: float, width: float, height: float, soft: float = 1.2) -> np.ndarray:
    """Return a soft, slightly irregular matte, (h, w)."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    angle = np.arctan2((rows - y) / height, (columns - x) / width)
    radius = np.hypot((columns - x) / width, (rows - y) / height)
    edge = 1.0 + 0.12 * np.sin(3 * angle + 1.0) + 0.07 * np.sin(5 * angle)
    matte = np.clip((edge - radius) * min(width, height) / (2 * soft) + 0.5, 0.0, 1.0)
    return matte.astype(np.float32)


def exposed(light: np.ndarray, index: int, look: Look) -> np.ndarray:
    """Return light as the camera records it: exposure, white balance and grain."""
    random = np.random.default_rng([look.seed, index])
    turn = 2 * np.pi * index / 17.0
    stops = look.drift * np.array([np.sin(turn), 0.9 * np.sin(turn), np.sin(turn + 0.3)])
    noise = cv2.GaussianBlur(random.standard_normal(light.shape).astype(np.float32), (0, 0), 0.55)
    noise /= noise.std()
    lit = light * np.exp2(stops).astype(np.float32)
    return lit + look.grain * np.sqrt(1e-6 + 1.2e-4 * np.maximum(lit, 0.0)) * noise


def covered(
    name: str,
    kind: str,
    cleans: Sequence[np.ndarray],
    path: Path,
    size: tuple[float, float],
    look: Look,
) -> Case:
    """Return a case: an object along ``path`` before ``cleans``, each (h, w, 3) of light."""
    plates, mattes, truths = [], [], []
    texture = np.random.default_rng(5).uniform(0.02, 0.5, (9, 9, 3)).astype(np.float32)
    sprite = cv2.resize(texture, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    for index, clean in enumerate(cleans):
        x, y = path(index)
        matte = blob(x, y, *size)
        object_light = np.roll(sprite, (int(y), int(x)), axis=(0, 1))
        mixed = clean * (1 - matte[..., None]) + object_light * matte[..., None]
        truth = exposed(clean, index, look)
        plates.append(np.where(matte[..., None] > 0, exposed(mixed, index, look), truth))
        mattes.append(matte)
        truths.append(truth)
    arrays = (np.array(stack, np.float32) for stack in (plates, mattes, truths))
    return Case(name, kind, *arrays)


def across(speed: float, y: float = 140.0, frames: int = FRAMES) -> Path:
    """Return a path through the frame from left to right (right to left below 0)."""
    return lambda i: (WIDTH / 2 + speed * (i - frames / 2), y + 10 * np.sin(i / 3.0))


def still_at(x: float, y: float) -> Path:
    """Return a path that does not move."""
    return lambda _: (x, y)
