"""The shots that speed and memory are measured on: cut from pictures when asked for.

Neither files nor the shot's length are in what they cost.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from benchmarks.cleanplate.cases import photograph
from genai_fill_contract.plate import FrameRange, Window
from tests.fakes.array_shot import ArrayShot

PAN_PX = 4
PAN_FRAMES = 300
SHARE = 0.05


class PannedShot(ArrayShot):
    """A window that moves over one large picture, with an object crossing it."""

    def __init__(self, width: int, height: int, frames: int) -> None:
        super().__init__(
            np.zeros((1, 2, 2, 3), np.float32), np.zeros((1, 2, 2), np.float32), first=1
        )
        self._plate_window = self._crop = Window(0, 0, width, height)
        self._reach = self._frames = FrameRange(1, frames)
        columns = width + PAN_PX * min(frames, PAN_FRAMES)
        picture = cv2.resize(photograph("coffee"), (columns, height), interpolation=cv2.INTER_CUBIC)
        random = np.random.default_rng(3)
        grain = random.standard_normal((height, columns, 1), np.float32)
        self._picture = np.maximum(picture * (1 + 0.08 * grain), 0.0).astype(np.float32)
        self._blob = _blob(width, height)

    def _corner(self, frame: int) -> tuple[int, int]:
        free = self._plate_window.width - self._blob.shape[1]
        turn = (frame * 3 * PAN_PX) % (2 * free)
        return min(turn, 2 * free - turn), (self._plate_window.height - self._blob.shape[0]) // 2

    def plate(self, frame: int, window: Window | None = None) -> np.ndarray:
        """Return the window's part of the picture that the camera sees at ``frame``."""
        turn = frame % (2 * PAN_FRAMES)
        left = PAN_PX * min(turn, 2 * PAN_FRAMES - turn)
        picture = self._picture[:, left : left + self._plate_window.width]
        gain = np.float32(1.0 + 0.05 * np.sin(frame / 9.0))
        wanted = window or self._crop
        if self._plate_window.contains(wanted):
            # One pass: what this stand-in costs is in the figures, and should not be.
            return picture[wanted.y0 : wanted.y1, wanted.x0 : wanted.x1] * gain
        return self._cut(picture, wanted) * gain

    def matte(self, frame: int, window: Window | None = None) -> np.ndarray:
        """Return the object's matte at ``frame``."""
        window = window or self._crop
        x, y = self._corner(frame)
        place = Window(x, y, x + self._blob.shape[1], y + self._blob.shape[0])
        out = np.zeros((window.height, window.width), np.float32)
        inner = window.intersection(place)
        if not inner.is_empty:
            mine, there = inner.shifted(-x, -y), inner.shifted(-window.x0, -window.y0)
            out[there.y0 : there.y1, there.x0 : there.x1] = self._blob[
                mine.y0 : mine.y1, mine.x0 : mine.x1
            ]
        return out


def _blob(width: int, height: int) -> np.ndarray:
    """Return the matte of a disc that covers `SHARE` of a frame."""
    radius = np.sqrt(SHARE * width * height / np.pi)
    side = int(2 * radius + 4)
    rows, across = np.mgrid[0:side, 0:side] - (side - 1) / 2
    return np.clip(radius - np.hypot(rows, across), 0, 1).astype(np.float32)


@dataclass(frozen=True)
class Slab:
    """An upright thing: its picture, where its left top corner is, and its pixels a frame."""

    picture: np.ndarray
    left: int
    top: int
    pace: int


class DeepShot(PannedShot):
    """Upright slabs at four depths that slide past each other before a backdrop.

    The camera goes sideways, there and back; grain is another on every frame. Nothing but
    depth tells what is behind the object that crosses.
    """

    PACES = (3, 8, 13, 21, 30)
    """Pixels a frame at 1920: the backdrop's, then the slabs', the nearest last."""

    TURN_FRAMES = 40

    def __init__(self, width: int, height: int, frames: int) -> None:
        super().__init__(width, height, frames)
        scale = width / 1920
        paces = [max(1, round(pace * scale)) for pace in self.PACES]
        self._pace = paces[0]
        self._picture = _texture(0, width + paces[0] * self.TURN_FRAMES, height)
        self._slabs = [
            slab
            for number, pace in enumerate(paces[1:], start=1)
            for slab in _slabs(number, pace, width, height, pace * self.TURN_FRAMES)
        ]
        grain = np.random.default_rng(5).standard_normal((height + 97, width + 97, 1), np.float32)
        self._grain = np.repeat(1 + np.float32(0.03) * grain, 3, axis=2)

    def plate(self, frame: int, window: Window | None = None) -> np.ndarray:
        """Return the window's part of what the camera sees at ``frame``."""
        wanted = window or self._crop
        inner = wanted.intersection(self._plate_window)
        turn = frame % (2 * self.TURN_FRAMES)
        turn = min(turn, 2 * self.TURN_FRAMES - turn)
        seen = inner.shifted(self._pace * turn, 0)
        at = inner.shifted(53 * frame % 97, 29 * frame % 97)
        grain = self._grain[at.y0 : at.y1, at.x0 : at.x1]
        # One pass for each pixel: what this stand-in costs is in the figures, and should not be.
        out = self._picture[seen.y0 : seen.y1, seen.x0 : seen.x1] * grain
        for slab in self._slabs:
            height, width = slab.picture.shape[:2]
            left = slab.left - slab.pace * turn
            both = inner.intersection(Window(left, slab.top, left + width, slab.top + height))
            if not both.is_empty:
                own, there = both.shifted(-left, -slab.top), both.shifted(-inner.x0, -inner.y0)
                box = slice(there.y0, there.y1), slice(there.x0, there.x1)
                shown = slab.picture[own.y0 : own.y1, own.x0 : own.x1]
                np.multiply(shown, grain[box], out=out[box])
        return out if inner == wanted else self._cut_from(out, inner, wanted)

    def _cut_from(self, pixels: np.ndarray, inner: Window, wanted: Window) -> np.ndarray:
        out = np.zeros((wanted.height, wanted.width, 3), np.float32)
        there = inner.shifted(-wanted.x0, -wanted.y0)
        out[there.y0 : there.y1, there.x0 : there.x1] = pixels
        return out


def _slabs(number: int, pace: int, width: int, height: int, travel: int) -> list[Slab]:
    """Return the slabs of one depth: as many as come into view on ``travel`` pixels."""
    apart, wide, top = round(0.775 * width), round(0.1375 * width), round(height * 0.16 * number)
    lefts = range(round(0.19 * width * number), width + travel, apart)
    return [
        Slab(_texture(10 * number + index, wide, height - top), left, top, pace)
        for index, left in enumerate(lefts)
    ]


def _texture(seed: int, width: int, height: int) -> np.ndarray:
    """Return a surface with fine and coarse structure, of a tint of its own, (h, w, 3)."""
    random = np.random.default_rng(seed)
    small = (-(-height // 2), -(-width // 2), 3)
    fine = cv2.GaussianBlur(random.uniform(0, 1, small).astype(np.float32), (0, 0), 1.4)
    coarse = cv2.GaussianBlur(random.uniform(0, 1, small).astype(np.float32), (0, 0), 24.0)
    both = 0.5 * fine / fine.std() + coarse / coarse.std()
    both = cv2.resize(both - both.mean(), (width, height), interpolation=cv2.INTER_CUBIC)
    return (0.2 * np.exp(0.35 * both) * random.uniform(0.5, 1.5, 3)).astype(np.float32)
