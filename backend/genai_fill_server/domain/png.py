"""PNG files of small display-referred pictures: the only 8-bit pixels in the product."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt


def png_file(encoded: npt.NDArray[np.float32]) -> bytes:
    """Return a picture (h, w, 3), sRGB-encoded within [0, 1], as a PNG file of 8 bits."""
    height, width, _ = encoded.shape
    pixels = (np.clip(encoded, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)

    def chunk(kind: bytes, body: bytes) -> bytes:
        checked = kind + body
        return struct.pack(">I", len(body)) + checked + struct.pack(">I", zlib.crc32(checked))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", head),
            chunk(b"sRGB", b"\0"),
            chunk(b"IDAT", zlib.compress(rows.tobytes(), 6)),
            chunk(b"IEND", b""),
        ]
    )
