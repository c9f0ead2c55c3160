"""Frames on disk for the stand-in's picture tests."""

from __future__ import annotations

import numpy as np
import OpenImageIO as oiio


def write_exr(path, pixels, full=None, origin=(0, 0), kind=oiio.FLOAT, names="RGBA", aspect=1.0):
    """Write top-down pixels (h, w, c) with a data window at ``origin`` (EXR, y down)."""
    height, width, count = pixels.shape
    spec = oiio.ImageSpec(width, height, count, kind)
    spec.x, spec.y = origin
    spec.full_width, spec.full_height = full or (width, height)
    spec.channelnames = list(names[:count])
    spec.attribute("PixelAspectRatio", aspect)
    out = oiio.ImageOutput.create(str(path))
    assert out.open(str(path), spec)
    out.write_image(np.ascontiguousarray(pixels, np.float32))
    out.close()


def noise(height=24, width=32, seed=1):
    generator = np.random.default_rng(seed)
    return generator.normal(1.0, 2.0, (height, width, 4)).astype(np.float32)


def raw_read(nuke, path, frames="1-1"):
    return nuke.createNode("Read", f'file "{path} {frames}" raw true', inpanel=False)
