"""Where pixels are: frame ranges, windows, sequences on disk, colour management."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass

from genai_fill_contract.errors import InvalidRequest

_FRAME_TOKEN = re.compile(r"%0?(\d{0,2})d|#+")
"""At most 99 digits: a pattern is hostile input, and one may ask for a name of a gigabyte."""


@dataclass(frozen=True, order=True)
class FrameRange:
    """Frames ``first`` to ``last``, both included, as Nuke's root counts them."""

    first: int
    last: int

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise InvalidRequest(
                f"The frame range {self.first}-{self.last} is empty.",
                hint="Give a last frame that is not before the first.",
            )

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.last + 1))

    def __len__(self) -> int:
        return self.last - self.first + 1

    def __contains__(self, frame: object) -> bool:
        return isinstance(frame, int) and self.first <= frame <= self.last

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


@dataclass(frozen=True)
class Window:
    """A rectangle in whole pixels: half-open, origin at the top left, y down.

    Nuke's y-up boxes become a `Window` in ``nuke_host`` only, EXR's inclusive ones in
    ``imaging`` only. A window may lie partly or wholly outside the display window.
    """

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        """Width in pixels; 0 for an empty window."""
        return max(0, self.x1 - self.x0)

    @property
    def height(self) -> int:
        """Height in pixels; 0 for an empty window."""
        return max(0, self.y1 - self.y0)

    @property
    def is_empty(self) -> bool:
        """Whether the window holds no pixel."""
        return self.x1 <= self.x0 or self.y1 <= self.y0

    def intersection(self, other: Window) -> Window:
        """Return what both windows hold (possibly an empty window)."""
        return Window(
            max(self.x0, other.x0),
            max(self.y0, other.y0),
            min(self.x1, other.x1),
            min(self.y1, other.y1),
        )

    def union(self, other: Window) -> Window:
        """Return the smallest window that holds both; an empty one adds nothing."""
        if self.is_empty:
            return other
        if other.is_empty:
            return self
        return Window(
            min(self.x0, other.x0),
            min(self.y0, other.y0),
            max(self.x1, other.x1),
            max(self.y1, other.y1),
        )

    def grown(self, px: int) -> Window:
        """Return the window with ``px`` pixels more on each side."""
        return Window(self.x0 - px, self.y0 - px, self.x1 + px, self.y1 + px)

    def shifted(self, dx: int, dy: int) -> Window:
        """Return the window moved by whole pixels."""
        return Window(self.x0 + dx, self.y0 + dy, self.x1 + dx, self.y1 + dy)

    def contains(self, other: Window) -> bool:
        """Whether every pixel of ``other`` lies in this window."""
        return other.is_empty or self.union(other) == self


def path_at(pattern: str, frame: int) -> str:
    """Return the path of one frame of a ``%04d`` or ``####`` pattern.

    A pattern without a frame token names one still, the same for every frame. Only the
    last token counts, so a folder called ``shot_###`` must not follow it.
    """
    tokens = list(_FRAME_TOKEN.finditer(pattern))
    if not tokens:
        return pattern
    token = tokens[-1]
    padding = len(token[0]) if token[0].startswith("#") else int(token[1] or 0)
    number = f"{frame:0{padding}d}" if padding else str(frame)
    return pattern[: token.start()] + number + pattern[token.end() :]


def is_still(pattern: str) -> bool:
    """Whether a path pattern has no frame token."""
    return _FRAME_TOKEN.search(pattern) is None


@dataclass(frozen=True)
class PlateRef:
    """A plate on disk. Pixels never ride in a message.

    ``path_pattern`` uses forward slashes and ``%04d`` or ``####``. ``frame_range`` is what
    is on disk, which may be wider than what is filled: the rest is source material.
    ``colorspace`` is the OCIO name or role of the pixels in the files. ``layer`` is "rgb"
    for the main layer, else a layer's name. Premultiplication is kept as it is.
    """

    path_pattern: str
    frame_range: FrameRange
    colorspace: str = "scene_linear"
    layer: str = "rgb"
    view: str = "main"


@dataclass(frozen=True)
class MatteRef:
    """A roto matte on disk: 1 where something new goes, 0 where the plate stays.

    ``channel`` is the full channel name as Nuke writes it: ``rgba.alpha``, ``roto.a``.
    Without a frame token in the pattern, one still serves every frame.
    """

    path_pattern: str
    frame_range: FrameRange
    channel: str = "rgba.alpha"
    invert: bool = False
    view: str = "main"


class InputRole(enum.StrEnum):
    """What an optional input of the node is for. An engine says which ones it uses."""

    REFERENCE = "reference"
    """A picture of what it should look like. Colour, any size."""
    CONTROL = "control"
    """Depth or edges that guide a model. Data, the plate's size."""
    PATCH = "patch"
    """Painted or approved frames: RGB composite, alpha 1 where it counts. They are carried
    through the shot. Several patches may be given; a still counts at its range's frame."""
    MOTION_FORWARD = "motion_forward"
    """Motion to the next frame: red and green are pixels right and up, as Nuke's
    ``forward`` layer has them. Data."""
    MOTION_BACKWARD = "motion_backward"
    """Motion to the previous frame, as Nuke's ``backward`` layer. Data."""
    STMAP = "stmap"
    """A camera-tracked STMap: red and green say where on one common reference picture each
    pixel lies, 0 to 1, origin at the bottom left. Data."""

    @property
    def is_colour(self) -> bool:
        """Whether the pixels are colour (they pass colour management) or data."""
        return self in (InputRole.REFERENCE, InputRole.PATCH)


@dataclass(frozen=True)
class InputRef:
    """One optional input on disk: `PlateRef` with a role. Size as the role says."""

    role: InputRole
    path_pattern: str
    frame_range: FrameRange
    colorspace: str = "scene_linear"
    layer: str = "rgb"
    view: str = "main"


@dataclass(frozen=True)
class ColourSettings:
    """The script's colour management: an OCIO config and the working space in it.

    ``ocio_config`` is a path, an ``ocio://`` built-in, or empty for the backend's default
    built-in ACES config. ``working_space`` is a colorspace or role; generated frames are
    written in it.
    """

    ocio_config: str = ""
    working_space: str = "scene_linear"
