"""A small shot on disk, and a comp with the node in the Nuke stand-in."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import OpenImageIO as oiio

from tests.fakes.nuke_standin import boot

REPOSITORY = Path(__file__).resolve().parents[3]
WIDTH, HEIGHT = 32, 20


def write_exr(path, pixels, names, *, half=False, colorspace=""):
    """Write (h, w, channels) float32, row 0 at the top."""
    spec = oiio.ImageSpec(
        pixels.shape[1], pixels.shape[0], pixels.shape[2], "half" if half else "float"
    )
    spec.channelnames = names
    out = oiio.ImageOutput.create(str(path))
    out.open(str(path), spec)
    out.write_image(np.ascontiguousarray(pixels, dtype=np.float32))
    out.close()


def read_exr(path):
    """Return pixels, channel names and the spec of an EXR file."""
    image = oiio.ImageInput.open(str(path))
    assert image is not None, oiio.geterror()
    spec = image.spec()
    pixels = image.read_image("float")
    image.close()
    return np.asarray(pixels).reshape(spec.height, spec.width, spec.nchannels), spec


def plate_pixels(frame):
    """Scene-linear, with negatives and highlights."""
    generator = np.random.default_rng(frame)
    return (generator.random((HEIGHT, WIDTH, 3)) * 12 - 1).astype(np.float32)


def matte_pixels(frame):
    pixels = np.zeros((HEIGHT, WIDTH, 4), np.float32)
    pixels[5:12, 8 + frame % 3 : 20, 3] = 1.0
    pixels[2:4, 2:4, 0] = 0.5
    return pixels


def write_shot(folder, first=1001, last=1004, *, half=False):
    folder.mkdir(parents=True, exist_ok=True)
    for frame in range(first, last + 1):
        write_exr(folder / f"plate.{frame}.exr", plate_pixels(frame), ["R", "G", "B"], half=half)
        write_exr(folder / f"matte.{frame}.exr", matte_pixels(frame), ["R", "G", "B", "A"])


@contextmanager
def comp(tmp_path, *, gui=True, connect=True, half=False, through=None, version=(16, 0)):
    """A saved script with two Reads and the node. ``through`` puts a Grade or the like between."""
    write_shot(tmp_path / "plates", half=half)
    with boot(nuke_path=[REPOSITORY], gui=gui, home=tmp_path / "home", version=version) as session:
        nuke = session.nuke
        plate = nuke.createNode("Read", f'file "{tmp_path}/plates/plate.%04d.exr 1001-1004"')
        matte = nuke.createNode("Read", f'file "{tmp_path}/plates/matte.%04d.exr 1001-1004"')
        for read in (plate, matte):
            read["raw"].setValue(True)
        session.select()
        node = nuke.createNode("GenAIFill")
        if connect:
            source = plate
            if through:
                source = nuke.nodes.NoOp(inputs=[plate]) if through == "NoOp" else None
            node.setInput(0, source)
            node.setInput(1, matte)
        nuke.frame(1002)
        nuke.scriptSaveAs(str(tmp_path / "comp.nk"))
        session.select(node)
        yield session, node
        assert session.errors == []
        assert session.tcl_violations == []
