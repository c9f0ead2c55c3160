"""Ports for pixels on disk: reading plates and mattes, writing takes, colour management.

``imaging`` fills them in; the service knows nothing of file formats or colour libraries.
All windows are in plate coordinates: whole pixels, y down, origin at the top left of the
display window, whatever origin the file gives its display window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from genai_fill_contract.job import FrameDone, Progress
from genai_fill_contract.plate import ColourSettings, InputRef, MatteRef, PlateRef, Window
from genai_fill_server.service.ports import FloatImage, FloatMatte

MetadataValue = str | int | float | tuple[int, ...] | tuple[float, ...] | tuple[str, ...]


class JobWatch(Protocol):
    """How a running job talks to whoever runs it (the worker's protocol loop)."""

    def check(self) -> None:
        """Raise `FillCancelled` if the job was cancelled. Cheap."""

    def report(self, progress: Progress) -> None:
        """Tell how far the whole job is: phase, fraction 0 to 1, seconds left."""

    def log(self, message: str) -> None:
        """Put a line into the job's log that the artist can read."""

    def preview(self, take_index: int, frame: int, rgb: FloatImage) -> None:
        """Show what is being made of a frame (see `Watch.preview`)."""

    def crop_known(self, window: Window) -> None:
        """Tell the crop at the first frame, once it is known (`Take.crop`)."""

    def frame_done(self, frame: FrameDone) -> None:
        """Tell that a frame is complete on disk. Frames found on resuming are told too."""


@dataclass(frozen=True)
class MetadataEntry:
    """One header attribute: its name, its type as the image library spells it, its value."""

    name: str
    type: str
    value: MetadataValue


@dataclass(frozen=True)
class FrameHeader:
    """What a file says about itself, without its pixels.

    ``display`` starts at (0, 0): it is the display window's size. ``origin`` is where the
    file itself puts the display window's top left (almost always 0, 0); a writer adds it
    back. ``data_window`` and ``pixel_type`` ("half", "float", "uint8", ...) are those of the
    channels that are read: a file may have parts of several. ``metadata`` holds what a take may
    carry on: the timecode, the frame rate, the camera; nothing about the file's own layout.
    """

    display: Window
    data_window: Window
    origin: tuple[int, int] = (0, 0)
    pixel_aspect: float = 1.0
    pixel_type: str = "half"
    channels: tuple[str, ...] = ()
    metadata: tuple[MetadataEntry, ...] = ()


class PlateReader(Protocol):
    """One plate on disk."""

    def has_frame(self, frame: int) -> bool:
        """Whether the frame is in the plate's range, on disk, and its header can be read."""

    def missing(self, frames: Iterable[int]) -> tuple[int, ...]:
        """Return those of ``frames`` that are not on disk, in order."""

    def header(self, frame: int) -> FrameHeader:
        """Return the frame's header, as far as the channels that `read` reads go.

        Raises `MissingFrames`, `UnreadableImage` or `UnknownChannel`.
        """

    def read(self, frame: int, window: Window) -> FloatImage:
        """Return RGB in the file's own colorspace; 0 outside its data window.

        Raises `MissingFrames`, `UnreadableImage` or `UnknownChannel`. The array may be
        shared by a cache: do not write into it.
        """


class MatteReader(Protocol):
    """One roto matte on disk, as drawn: neither grown nor feathered."""

    def missing(self, frames: Iterable[int]) -> tuple[int, ...]:
        """Return those of ``frames`` that are not on disk, in order."""

    def header(self, frame: int) -> FrameHeader:
        """Return the frame's header, as far as the channels that `read` reads go.

        Raises `MissingFrames`, `UnreadableImage` or `UnknownChannel`.
        """

    def read(self, frame: int, window: Window) -> FloatMatte:
        """Return the matte in ``window``, 0 to 1, inverted if the reference says so.

        What is not a number counts as 0. Outside the file's data window the matte is 0
        before inversion. Raises as `PlateReader.read` does.
        """


class InputReader(Protocol):
    """One optional input on disk."""

    def has_frame(self, frame: int) -> bool:
        """Whether the frame is in the input's range, on disk, and its header can be read."""

    def missing(self, frames: Iterable[int]) -> tuple[int, ...]:
        """Return those of ``frames`` that are not on disk, in order."""

    def header(self, frame: int) -> FrameHeader:
        """Return the frame's header, as far as the channels that `read` reads go.

        Raises `MissingFrames`, `UnreadableImage` or `UnknownChannel`.
        """

    def read(self, frame: int, window: Window) -> tuple[FloatImage, FloatMatte]:
        """Return the layer's RGB (h, w, 3) and alpha (h, w), the file's own values.

        A layer of two channels has 0 for the third, one of one channel has it three times.
        Without an alpha channel, alpha is 1 in the data window. Outside the data window all
        is 0. Raises as `PlateReader.read` does. May be shared: do not write into it.
        """


class PlateStore(Protocol):
    """Opens plates and mattes. Keeps what was read within a bounded number of bytes."""

    def open_plate(self, plate: PlateRef) -> PlateReader:
        """Return a reader of ``plate``; touches no file yet."""

    def open_matte(self, matte: MatteRef) -> MatteReader:
        """Return a reader of ``matte``; touches no file yet."""

    def open_input(self, given: InputRef) -> InputReader:
        """Return a reader of an optional input; touches no file yet."""


@dataclass(frozen=True)
class TakeFrame:
    """One frame ready to be written.

    ``rgb`` (h, w, 3) is the composite in the working space, ``alpha`` (h, w) the blend matte
    used, both covering ``window``. ``header`` is the plate's: display window, pixel aspect,
    metadata. ``layers`` are extra planes of the same size (name -> (h, w) or (h, w, 3)).
    ``labels`` are short header strings of ours ("genaifill:seed": "7").
    """

    window: Window
    rgb: FloatImage
    alpha: FloatMatte
    header: FrameHeader
    layers: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


class TakeStore(Protocol):
    """Writes takes. Every file appears whole or not at all."""

    def check_place(self, path: str, needed_bytes: int) -> None:
        """Raise `OutputNotWritable` or `DiskFull` unless files can be written beside
        ``path`` and ``needed_bytes`` fit on its disk."""

    def write_frame(self, path: str, frame: TakeFrame) -> None:
        """Write one frame. Raises `DiskFull`, `OutputNotWritable`; leaves nothing behind."""

    def is_complete(self, path: str, window: Window, labels: Mapping[str, str]) -> bool:
        """Whether a whole frame with this crop and all of ``labels`` is at ``path``.

        False when nothing or half a file is there. Raises `OutputExists` when a file is
        there that has other labels: somebody else's, never to be overwritten; `InvalidRequest`
        when it has these labels and another crop: plate or matte changed since.
        """

    def write_recipe(self, path: str, recipe: Mapping[str, object]) -> None:
        """Write (or replace) the JSON sidecar. Raises as `write_frame` does."""


class ColourCodec(Protocol):
    """The script's colour management for one job."""

    def check(self, colorspace: str) -> None:
        """Raise `UnknownColorspace`, naming the nearest names, unless the config has it."""

    def is_working(self, colorspace: str) -> bool:
        """Whether pixels of ``colorspace`` are working-space pixels already, bit for bit."""

    def to_working(self, image: FloatImage, colorspace: str) -> FloatImage:
        """Return ``image`` in the working space; the same array if nothing is to be done."""

    def to_rec709(self, image: FloatImage) -> FloatImage:
        """Return a working-space image in linear Rec.709 primaries, unbounded."""

    def from_rec709(self, image: FloatImage) -> FloatImage:
        """The inverse of `to_rec709`."""

    def describe(self) -> Mapping[str, str]:
        """Return what the recipe records: the config, its name, the working space."""


ColourCodecFactory = Callable[[ColourSettings], ColourCodec]
"""Makes a job's colour codec. Raises `ConfigError` or `UnknownColorspace`."""


@dataclass(frozen=True)
class FramePorts:
    """Everything that `run_fill` needs of the world beside its engine."""

    plates: PlateStore
    takes: TakeStore
    colour: ColourCodecFactory
    library_versions: Mapping[str, str] = field(default_factory=dict)
