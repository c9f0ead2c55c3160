"""Plain value objects: Format, Box, Info, FrameRange, FrameRanges, and the built-in formats."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tests.fakes.nuke_standin import manifest


class Strict:
    """Attributes outside the manifest do not exist; those inside but not built say so."""

    def __getattr__(self, name: str) -> Any:
        names = tuple(cls.__name__ for cls in type(self).__mro__)
        raise manifest.missing_attribute(type(self).__name__, names, name)


class Format(Strict):
    """A format: size, active box (y up) and pixel aspect. ``name()`` is None when unnamed."""

    def __init__(self, width=0, height=0, x=0, y=0, r=0, t=0, pixel_aspect=1.0, name=None):
        self._width, self._height = int(width), int(height)
        self._box = (int(x), int(y), int(r) or self._width, int(t) or self._height)
        self._aspect, self._name = float(pixel_aspect), name

    def name(self):
        return self._name

    def setName(self, name):
        self._name = name

    def width(self):
        return self._width

    def height(self):
        return self._height

    def x(self):
        return self._box[0]

    def y(self):
        return self._box[1]

    def r(self):
        return self._box[2]

    def t(self):
        return self._box[3]

    def pixelAspect(self):
        return self._aspect

    def add(self, name):
        from tests.fakes.nuke_standin.world import active

        self._name = name
        active().formats.append(self)

    def scaled(self, sx, sy, tx=0, ty=0):
        box = (self.x() * sx + tx, self.y() * sy + ty, self.r() * sx + tx, self.t() * sy + ty)
        return Format(self._width * sx, self._height * sy, *box, self._aspect)

    def _spec(self) -> str:
        """The text Nuke stores: ``W H x y r t aspect name``."""
        box = " ".join(str(value) for value in self._box)
        text = f"{self._width} {self._height} {box} {self._aspect:g}"
        return f"{text} {self._name}" if self._name else text

    def __eq__(self, other):
        return isinstance(other, Format) and self._spec() == other._spec()

    def __hash__(self):
        return hash(self._spec())

    def __repr__(self):
        return f"<Format '{self._spec()}'>"


def parse_format(text: str) -> Format | None:
    """Read ``W H [x y r t] [aspect] [name]``; None when it is not a format's text."""
    words = text.split()
    numbers: list[float] = []
    while words and len(numbers) < 7 and re.fullmatch(r"-?\d+(\.\d*)?", words[0]):
        numbers.append(float(words.pop(0)))
    name = " ".join(words) or None
    if len(numbers) < 2:
        return None
    if len(numbers) >= 6:
        return Format(*numbers[:6], numbers[6] if len(numbers) == 7 else 1.0, name)
    return Format(numbers[0], numbers[1], 0, 0, 0, 0, numbers[2] if len(numbers) == 3 else 1, name)


def default_formats() -> list[Format]:
    rows = (
        "640 480 0 0 640 480 1 PC_Video",
        "1920 1080 0 0 1920 1080 1 HD_1080",
        "3840 2160 0 0 3840 2160 1 UHD_4K",
        "1024 778 0 0 1024 778 1 1K_Super_35(full-ap)",
        "2048 1556 0 0 2048 1556 1 2K_Super_35(full-ap)",
        "4096 3112 0 0 4096 3112 1 4K_Super_35(full-ap)",
        "1828 1556 0 0 1828 1556 2 2K_Cinemascope",
        "256 256 0 0 256 256 1 square_256",
        "1024 1024 0 0 1024 1024 1 square_1K",
    )
    return [parse_format(row) for row in rows]  # type: ignore[misc]


class Info(Strict):
    """What ``node.bbox()`` gives: x, y, w, h, with y up."""

    def __init__(self, x=0, y=0, w=0, h=0):
        self._xywh = (x, y, w, h)

    def x(self):
        return self._xywh[0]

    def y(self):
        return self._xywh[1]

    def w(self):
        return self._xywh[2]

    def h(self):
        return self._xywh[3]


class Box(Strict):
    """A half-open box, y up."""

    def __init__(self, x=0, y=0, r=1, t=1):
        self._xyrt = [x, y, r, t]

    def x(self):
        return self._xyrt[0]

    def y(self):
        return self._xyrt[1]

    def r(self):
        return self._xyrt[2]

    def t(self):
        return self._xyrt[3]

    def w(self):
        return self._xyrt[2] - self._xyrt[0]

    def h(self):
        return self._xyrt[3] - self._xyrt[1]

    def set(self, x, y, r, t):
        self._xyrt = [x, y, r, t]


class FrameRange(Strict):
    """``FrameRange("1-10x2")`` or ``FrameRange(first, last, increment)``."""

    def __init__(self, *args):
        if len(args) == 1 and isinstance(args[0], str):
            found = re.fullmatch(r"\s*(-?\d+)(?:-(-?\d+)(?:x(\d+))?)?\s*", args[0])
            if not found:
                raise RuntimeError(f"Invalid frame range: {args[0]!r}")
            first = int(found[1])
            self._range = (first, int(found[2] or first), int(found[3] or 1))
        elif len(args) in (2, 3) and all(type(value) is int for value in args):
            self._range = (args[0], args[1], args[2] if len(args) == 3 else 1)
        elif not args:
            self._range = (0, 0, 1)
        else:
            raise TypeError(f"FrameRange takes text or whole numbers, not {args!r}")

    def first(self):
        return self._range[0]

    def last(self):
        return self._range[1]

    def increment(self):
        return self._range[2]

    def frames(self):
        return len(list(self))

    def minFrame(self):
        return min(self._range[:2])

    def maxFrame(self):
        return max(self._range[:2])

    def isInRange(self, frame):
        return frame in list(self)

    def getFrame(self, n):
        return list(self)[n]

    def __iter__(self) -> Iterator[int]:
        first, last, step = self._range
        return iter(range(first, last + 1, step))

    def __str__(self):
        first, last, step = self._range
        return f"{first}-{last}" + (f"x{step}" if step != 1 else "")


class FrameRanges(Strict):
    """Several ranges: from text ``"1-3 7 9-12"`` or from FrameRange objects."""

    def __init__(self, *args):
        if len(args) == 1 and isinstance(args[0], str):
            self._ranges = [FrameRange(word) for word in args[0].replace(",", " ").split()]
        else:
            flat = args[0] if len(args) == 1 and isinstance(args[0], list) else args
            self._ranges = [
                item if isinstance(item, FrameRange) else FrameRange(item) for item in flat
            ]

    def size(self):
        return len(self._ranges)

    def getRange(self, n):
        return self._ranges[n]

    def add(self, item):
        self._ranges.append(item)

    def toFrameList(self):
        return sorted({frame for item in self._ranges for frame in item})

    def minFrame(self):
        return min(self.toFrameList())

    def maxFrame(self):
        return max(self.toFrameList())

    def __iter__(self) -> Iterator[int]:
        return iter(self.toFrameList())

    def __str__(self):
        return " ".join(str(item) for item in self._ranges)
