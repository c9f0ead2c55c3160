"""A picture of before, matte, after and truth, for the README and for one's own eyes."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from genai_fill_server.demo.measure import DemoFrames, Floats

_GAP_PX = 6
_LABEL_PX = 18
_BACKGROUND = 0.09


def _fitted(image: Floats, width: int) -> Floats:
    """Return the image reduced by area to ``width`` columns (a divisor, else cropped)."""
    factor = max(1, image.shape[1] // width)
    height, columns = image.shape[0] // factor, image.shape[1] // factor
    cut = image[: height * factor, : columns * factor]
    shaped = cut.reshape(height, factor, columns, factor, 3)
    return np.asarray(shaped.mean(axis=(1, 3)), np.float32)


def _panel(image: Floats, label: str) -> Floats:
    """Return the picture with its label over it."""
    height, width = image.shape[:2]
    canvas = Image.new("L", (width, _LABEL_PX), 0)
    ImageDraw.Draw(canvas).text((2, 2), label, fill=255, font=ImageFont.load_default(13))
    text = np.asarray(canvas, np.float32)[..., None] / 255.0
    panel = np.full((height + _LABEL_PX, width, 3), _BACKGROUND, np.float32)
    panel[:_LABEL_PX] += (0.82 - _BACKGROUND) * text
    panel[_LABEL_PX:] = image
    return panel


def _stacked(panels: Sequence[Floats], axis: int) -> Floats:
    parts: list[npt.NDArray[np.float32]] = []
    for number, panel in enumerate(panels):
        if number:
            shape = list(panel.shape)
            shape[axis] = _GAP_PX
            parts.append(np.full(shape, _BACKGROUND, np.float32))
        parts.append(panel)
    return np.concatenate(parts, axis=axis)


def contact_sheet(
    frames: DemoFrames, path_pattern: str, chosen: Sequence[int], width: int = 480
) -> bytes:
    """Return a PNG: a row each for before, matte, after and truth, a column a frame.

    ``path_pattern`` names the take; pictures are display-coded (sRGB).
    """
    shown: dict[str, Callable[[int], Floats]] = {
        "before": lambda frame: frames.display(frames.plate(frame)),
        "matte": lambda frame: np.repeat(frames.matte(frame)[..., None], 3, axis=2),
        "after": lambda frame: frames.display(frames.take(path_pattern, frame)[0]),
        "truth": lambda frame: frames.display(frames.truth(frame)),
    }
    return sheet_of(shown, chosen, width)


def sheet_of(
    rows: Mapping[str, Callable[[int], Floats]], chosen: Sequence[int], width: int = 480
) -> bytes:
    """Return a PNG with a row for each name and a column for each chosen frame.

    A row's function gives the display-coded picture (h, w, 3) of a frame.
    """
    panels = [
        [_panel(_fitted(picture(frame), width), f"{name} {frame}") for frame in chosen]
        for name, picture in rows.items()
    ]
    sheet = _stacked([_stacked(row, 1) for row in panels], 0)
    pixels = (np.clip(sheet, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return file.getvalue()
