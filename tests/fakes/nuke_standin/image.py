"""Image: float32 channels over a bounding box, y up, inside a format."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tests.fakes.nuke_standin.values import Format

Box = tuple[int, int, int, int]
RGBA = ("rgba.red", "rgba.green", "rgba.blue", "rgba.alpha")
SHORT = {"red": 0, "green": 1, "blue": 2, "alpha": 3, "r": 0, "g": 1, "b": 2, "a": 3,
         "R": 0, "G": 1, "B": 2, "A": 3}  # fmt: skip
SETS = {"rgb": RGBA[:3], "rgba": RGBA, "none": (), "": ()}


def full_name(name: str) -> str:
    """``alpha`` is ``rgba.alpha``; other names stay."""
    return RGBA[SHORT[name]] if name in SHORT else name


def expand(mask: str, available: list[str]) -> list[str]:
    """The channels a mask such as ``rgb``, ``all`` or ``rgba.red -rgba.green`` names."""
    found: list[str] = []
    for word in mask.split():
        if word.startswith("-"):
            continue
        if word == "all":
            names = tuple(available)
        elif word in SETS:
            names = SETS[word]
        elif "." in word or word in SHORT:
            names = (full_name(word),)
        else:
            names = tuple(name for name in available if name.startswith(f"{word}."))
        found += [name for name in names if name not in found]
    return found


def union(first: Box, second: Box) -> Box:
    if is_empty(first) or is_empty(second):
        return second if is_empty(first) else first
    return (min(first[0], second[0]), min(first[1], second[1]),
            max(first[2], second[2]), max(first[3], second[3]))  # fmt: skip


def intersection(first: Box, second: Box) -> Box:
    x, y = max(first[0], second[0]), max(first[1], second[1])
    return (x, y, max(x, min(first[2], second[2])), max(y, min(first[3], second[3])))


def is_empty(box: Box) -> bool:
    return box[2] <= box[0] or box[3] <= box[1]


def box_of(shape: Format) -> Box:
    return (0, 0, shape.width(), shape.height())


@dataclass(frozen=True)
class Image:
    """One picture.

    ``bbox`` is x, y, r, t: half-open, origin at the bottom left of the format. ``channels``
    maps ``rgba.red`` and so on to float32 arrays (t - y, r - x); row 0 is the bottom row.
    Everything outside the box is 0.
    """

    format: Format
    bbox: Box
    channels: dict[str, np.ndarray]
    metadata: dict[str, Any] = field(default_factory=dict)

    def channel(self, name: str, box: Box | None = None) -> np.ndarray:
        """One channel over a box (default: the image's own), 0 where there is nothing."""
        box = self.bbox if box is None else box
        height, width = max(0, box[3] - box[1]), max(0, box[2] - box[0])
        kept = self.channels.get(full_name(name))
        if kept is not None and box == self.bbox:
            return kept
        out = np.zeros((height, width), np.float32)
        shared = intersection(box, self.bbox)
        if kept is not None and not is_empty(shared):
            x, y, r, t = shared
            ox, oy = box[:2]
            bx, by = self.bbox[:2]
            out[y - oy : t - oy, x - ox : r - ox] = kept[y - by : t - by, x - bx : r - bx]
        return out

    def rgba(self, box: Box | None = None) -> np.ndarray:
        """(h, w, 4) over a box (default: the whole format), row 0 at the bottom."""
        box = box_of(self.format) if box is None else box
        return np.stack([self.channel(name, box) for name in RGBA], axis=-1)

    def rgba_top_down(self, box: Box | None = None) -> np.ndarray:
        """As `rgba`, but row 0 at the top, as files and OpenCV have it."""
        return self.rgba(box)[::-1]

    def at(self, x: int, y: int) -> dict[str, float]:
        """Every channel of the pixel (x, y), y up."""
        box = (x, y, x + 1, y + 1)
        return {name: float(self.channel(name, box)[0, 0]) for name in self.channels}

    def over(self, box: Box) -> dict[str, np.ndarray]:
        """All channels over a box."""
        return {name: self.channel(name, box) for name in self.channels}

    def with_channels(self, channels: dict[str, np.ndarray], bbox: Box | None = None) -> Image:
        """The same picture with other channels."""
        plain = {
            name: np.ascontiguousarray(pixels, dtype=np.float32)
            for name, pixels in channels.items()
        }
        return replace(self, channels=plain, bbox=self.bbox if bbox is None else bbox)


def black(shape: Format, names: tuple[str, ...] = (), metadata: Any = None) -> Image:
    """Nothing, over the whole format."""
    size = (shape.height(), shape.width())
    channels = {name: np.zeros(size, np.float32) for name in names}
    return Image(shape, box_of(shape) if names else (0, 0, 0, 0), channels, dict(metadata or {}))
