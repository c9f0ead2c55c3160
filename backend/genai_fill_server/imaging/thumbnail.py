"""Display-referred PNG thumbnails of take frames."""

from __future__ import annotations

import numpy as np
import OpenImageIO as oiio  # noqa: N813 - its own community spells it so

from genai_fill_contract.plate import ColourSettings
from genai_fill_server.domain.hdr_shoulder import HdrShoulder, shot_peak
from genai_fill_server.domain.png import png_file
from genai_fill_server.imaging.colour import OcioColour
from genai_fill_server.imaging.exr_read import read_header, read_rgb
from genai_fill_server.service.ports import FloatImage

MIN_WIDTH_PX, MAX_WIDTH_PX = 16, 2048


def thumbnail_png(path: str, frame: int, width_px: int, colour: ColourSettings) -> bytes:
    """Return the data window of a take's frame as PNG, ``width_px`` wide, sRGB.

    Working space → Rec.709 → sRGB with the HDR shoulder, so highlights roll off instead of
    clipping; anamorphic pixels are squeezed to square. Raises `MissingFrames`,
    `UnreadableImage`, `ConfigError` or `UnknownColorspace`.
    """
    header = read_header(path, frame)
    rgb = read_rgb(path, frame, header.data_window, "rgb", "main")
    linear = np.nan_to_num(rgb, nan=0.0, posinf=0.0, neginf=0.0)
    width = min(max(width_px, MIN_WIDTH_PX), MAX_WIDTH_PX)
    aspect = header.data_window.height / (header.data_window.width * header.pixel_aspect)
    height = max(1, min(MAX_WIDTH_PX, round(width * aspect)))
    # Resized in linear light, where mixing pixels means mixing light.
    small = _resized(linear, width, height)
    display = OcioColour(colour).to_rec709(small)
    encoded = HdrShoulder(max(1.0, shot_peak(display))).encode(np.maximum(display, 0))
    return png_file(encoded)


def _resized(image: FloatImage, width: int, height: int) -> FloatImage:
    source = oiio.ImageBuf(np.ascontiguousarray(image))
    target = oiio.ROI(0, width, 0, height, 0, 1, 0, 3)
    # The triangle filter neither rings round highlights nor goes negative.
    resized = oiio.ImageBufAlgo.resize(source, filtername="triangle", roi=target)
    return np.asarray(resized.get_pixels(oiio.FLOAT), dtype=np.float32).reshape(height, width, 3)
