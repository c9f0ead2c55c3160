"""Writes real image files for tests, and reads them back without our own reader."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import OpenImageIO as oiio


def write_exr(path, pixels, names="RGBA", kind="half", *, data=None, display=None, **attributes):
    """Write (h, w, c) float32 pixels. ``data`` is the data window's (x, y) corner, ``display``
    the display window (x, y, width, height); ``attributes`` are (type, value) or a value."""
    pixels = np.ascontiguousarray(pixels, dtype=np.float32)
    height, width, count = pixels.shape
    spec = oiio.ImageSpec(width, height, count, kind)
    spec.channelnames = tuple(names[:count]) if isinstance(names, str) else tuple(names)
    spec.x, spec.y = data or (0, 0)
    x, y, w, h = display or (0, 0, width, height)
    spec.full_x, spec.full_y, spec.full_width, spec.full_height = x, y, w, h
    spec.attribute("compression", "zip")
    for name, value in attributes.items():
        name = name.replace("__", ":")
        if isinstance(value, tuple) and isinstance(value[0], str):
            spec.attribute(name, oiio.TypeDesc(value[0]), value[1])
        else:
            spec.attribute(name, value)
    output = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), spec), output.geterror()
    assert output.write_image(pixels), output.geterror()
    assert output.close()
    return path


class Part(NamedTuple):
    """One part of a multi-part EXR: `data` is its data window's (x, y) corner, `display` the
    file's display window (x, y, width, height), the part's own size if not given."""

    name: str
    view: str
    channels: Sequence[str]
    pixels: npt.NDArray[np.float32]
    kind: str = "half"
    data: tuple[int, int] = (0, 0)
    display: tuple[int, int, int, int] | None = None


def write_parts(path, parts):
    """Write a multi-part EXR: ``parts`` are `Part`, or (name, view, channel names, pixels)."""
    parts = [Part(*part) for part in parts]
    specs = []
    for part in parts:
        height, width, count = part.pixels.shape
        spec = oiio.ImageSpec(width, height, count, part.kind)
        spec.channelnames = tuple(part.channels)
        spec.x, spec.y = part.data
        x, y, w, h = part.display or (0, 0, width, height)
        spec.full_x, spec.full_y, spec.full_width, spec.full_height = x, y, w, h
        spec.attribute("oiio:subimagename", part.name)
        spec.attribute("name", part.name)
        if part.view:
            spec.attribute("view", part.view)
        specs.append(spec)
    output = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), tuple(specs)), output.geterror()
    for index, part in enumerate(parts):
        if index:
            assert output.open(str(path), specs[index], "AppendSubimage"), output.geterror()
        assert output.write_image(np.ascontiguousarray(part.pixels, dtype=np.float32))
    assert output.close()
    return path


def read_raw(path, kind="float"):
    """Return (pixels, spec) of a file as it is."""
    image = oiio.ImageInput.open(str(path))
    assert image is not None, oiio.geterror()
    spec = image.spec()
    pixels = image.read_image(0, 0, 0, spec.nchannels, kind)
    image.close()
    return pixels, spec


def grainy(height, width, seed=0, level=0.4, sigma=0.01):
    """A plate (h, w, 3) with slow gradients and grain."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    base = np.stack(
        [level + 0.1 * np.sin(x / 60), level + 0.1 * np.cos(y / 50), level + 0.001 * x], axis=-1
    )
    return (base + rng.normal(0, sigma, base.shape)).astype(np.float32)


def disc(height, width, centre, radius):
    """A hard round matte (h, w)."""
    y, x = np.mgrid[:height, :width]
    return ((y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2).astype(np.float32)
