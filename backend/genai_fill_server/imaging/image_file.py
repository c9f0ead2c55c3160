"""Open image files through OpenImageIO with our own errors. Every file is hostile input."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import OpenImageIO as oiio  # noqa: N813 - its own community spells it so

from genai_fill_contract.errors import MissingFrames, UnreadableImage
from genai_fill_contract.plate import Window
from genai_fill_server.imaging.exr_header import MAX_ENTRIES, has_absurd_header

T = TypeVar("T")

MAX_PIXELS = 1 << 29
"""No image larger than this (23 170 x 23 170) is opened: a header may claim anything."""

MAX_CHANNELS = 1024
MAX_SUBIMAGES = 256

_LIBRARY_NOISE = re.compile(r"EXR Error \(.*?\): |EXR_ERR_\w+ |: magic 0x.*")

DAMAGED = "Render or copy the frame again; it may be half-written or damaged."


@contextmanager
def opened(path: str, frame: int) -> Iterator[oiio.ImageInput]:
    """Open ``path`` and close it again.

    Raises `MissingFrames` if nothing is there, `UnreadableImage` if it is not an image that
    can be used.
    """
    if not os.path.isfile(path):  # noqa: PTH113 - Path.is_file() raises for a folder out of bounds
        raise MissingFrames(
            f"Frame {frame} is not on disk: {path}.",
            hint="Render the frame, or shorten the frame range.",
            path=path,
            frame=frame,
        )
    if has_absurd_header(path):
        raise unreadable(path, frame, f"its header has more than {MAX_ENTRIES} entries")
    with quietly(path, frame):
        image = oiio.ImageInput.open(path, _as_it_is())
    if image is None:
        reason = ask(oiio.geterror, "") or "it is not an image"
        raise unreadable(path, frame, _of_nothing(path) or reason)
    try:
        yield image
    finally:
        image.close()


def _as_it_is() -> oiio.ImageSpec:
    """Return how to open a file: PNG and TIFF are not to be multiplied by their alpha."""
    wanted = oiio.ImageSpec()
    wanted.attribute("oiio:UnassociatedAlpha", 1)
    return wanted


def _of_nothing(path: str) -> str:
    """Return the reason why an empty file is no image; empty for one that has bytes."""
    try:
        return "" if Path(path).stat().st_size else "the file is empty (0 bytes)"
    except OSError as error:
        return f"{error.strerror}"


@contextmanager
def quietly(path: str, frame: int) -> Iterator[None]:
    """Turn what OpenImageIO's binding raises on hostile files into `UnreadableImage`."""
    try:
        yield
    except (UnicodeDecodeError, ValueError, TypeError, RuntimeError, OverflowError) as error:
        raise unreadable(path, frame, f"its header does not make sense ({error})") from error


def unreadable(path: str, frame: int, reason: str, hint: str = DAMAGED) -> UnreadableImage:
    """Return the error for a file that is there and cannot be used."""
    # Keep the library's first line only: the rest repeats the path or lists plug-ins.
    first_line = next((line.strip() for line in reason.splitlines() if line.strip()), "no reason")
    said = _LIBRARY_NOISE.sub("", first_line).rstrip(".?")
    return UnreadableImage(
        f"Frame {frame} cannot be read: {path}: {said}.",
        hint=hint,
        path=path,
        frame=frame,
    )


def check_sane(spec: oiio.ImageSpec, path: str, frame: int) -> None:
    """Raise `UnreadableImage` for sizes that no plate has and for deep images."""
    pixels = spec.width * spec.height
    if not 0 < pixels <= MAX_PIXELS or spec.width <= 0 or spec.nchannels > MAX_CHANNELS:
        size = f"{spec.width} x {spec.height} pixels with {spec.nchannels} channels"
        raise unreadable(path, frame, f"its header claims {size}")
    if spec.deep:
        raise unreadable(
            path, frame, "it is a deep image", hint="Flatten it with DeepToImage and render it."
        )
    if spec.depth > 1:
        raise unreadable(
            path, frame, "it is a volume, not an image", hint="Connect a picture instead."
        )


def data_window(spec: oiio.ImageSpec) -> Window:
    """Return the data window in plate coordinates (from the display window's corner)."""
    x0, y0 = spec.x - spec.full_x, spec.y - spec.full_y
    return Window(x0, y0, x0 + spec.width, y0 + spec.height)


def ask(question: Callable[[], T], otherwise: T) -> T:
    """Return the answer of ``question``, or ``otherwise`` where a hostile value breaks it."""
    try:
        return question()
    except (UnicodeDecodeError, ValueError, TypeError, RuntimeError):
        return otherwise
