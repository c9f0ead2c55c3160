"""Frames on disk: what Read takes in and Write puts out, through OpenImageIO."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import OpenImageIO as oiio

from tests.fakes.nuke_standin.image import RGBA, SHORT, Box, Image, expand, is_empty
from tests.fakes.nuke_standin.values import Format

if TYPE_CHECKING:
    from tests.fakes.nuke_standin.core import NodeCore

COMPRESSION = {
    "none": "none",
    "Zip (1 scanline)": "zips",
    "Zip (16 scanlines)": "zip",
    "PIZ Wavelet (32 scanlines)": "piz",
    "RLE": "rle",
    "B44": "b44",
    "B44A": "b44a",
    "DWAA": "dwaa",
    "DWAB": "dwab",
}
UNCONVERTED = {"default", "linear", "scene_linear", "default (linear)", "raw", "data"}
SHORT_OF = {0: "R", 1: "G", 2: "B", 3: "A"}
SKIPPED = {"oiio:ColorSpace", "compression", "PixelAspectRatio", "capDate"}


class FileProblem(RuntimeError):
    """A frame cannot be read or written."""


def nuke_name(name: str) -> str:
    """``R`` is ``rgba.red``; ``depth.Z`` and the like stay."""
    layer, _, last = name.rpartition(".")
    if not layer:
        return RGBA[SHORT[last]] if last in SHORT else f"other.{last}"
    words = ("red", "green", "blue", "alpha")
    return f"{layer}.{words[SHORT[last]]}" if last in ("R", "G", "B", "A") else name


def file_name(name: str) -> str:
    """The channel's name in an EXR."""
    return SHORT_OF[RGBA.index(name)] if name in RGBA else name


def read_image(path: str, known: Format | None) -> Image:
    """Read one file; its data window becomes the bbox, its display window the format."""
    source = oiio.ImageInput.open(path)
    if source is None:
        raise FileProblem(f"{path}: {oiio.geterror() or 'cannot be opened'}")
    try:
        spec = source.spec()
        pixels = source.read_image(format=oiio.FLOAT)
        if pixels is None:
            raise FileProblem(f"{path}: {source.geterror()}")
    finally:
        source.close()
    aspect = spec.get_float_attribute("PixelAspectRatio", 1.0)
    shape = Format(spec.full_width, spec.full_height, 0, 0, 0, 0, aspect)
    x = spec.x - spec.full_x
    top = spec.full_height - (spec.y - spec.full_y)
    bbox = (x, top - spec.height, x + spec.width, top)
    flipped = np.asarray(pixels, np.float32).reshape(spec.height, spec.width, -1)[::-1]
    channels = {
        nuke_name(name): np.ascontiguousarray(flipped[:, :, index])
        for index, name in enumerate(spec.channelnames)
    }
    return Image(known or shape, bbox, channels, _metadata(path, spec))


def _metadata(path: str, spec: Any) -> dict[str, Any]:
    sample = {"half": 16, "float": 32, "uint8": 8, "uint16": 16}.get(str(spec.format), 32)
    found: dict[str, Any] = {
        "input/filename": path,
        "input/width": spec.full_width,
        "input/height": spec.full_height,
        "input/bitsperchannel": f"{sample}-bit {'half ' * (sample == 16)}float",
        "input/mtime": str(int(Path(path).stat().st_mtime)),
    }
    for attribute in spec.extra_attribs:
        if attribute.name == "smpte:TimeCode":
            found["input/timecode"] = spec.get_string_attribute("smpte:TimeCode")
        elif attribute.name == "FramesPerSecond":
            found["input/frame_rate"] = spec.get_float_attribute("FramesPerSecond")
        elif attribute.name not in SKIPPED and isinstance(attribute.value, str | int | float):
            found[f"exr/{attribute.name}"] = attribute.value
    return found


def write_image(core: NodeCore, image: Image, path: str) -> None:
    """Write one EXR with the knobs of a Write: temporary name first, then renamed."""
    _check_write(core, path)
    names = expand(core.knobs["channels"]._raw_text(), list(image.channels))
    if not names:
        raise FileProblem(f"{core.full_name()}: no channels to write")
    box: Box = (0, 0, 1, 1) if is_empty(image.bbox) else image.bbox
    pixels = np.stack([image.channel(name, box) for name in names], axis=-1)[::-1]
    spec = _spec(core, image, box, names)
    temporary = str(Path(path).with_name(f".{Path(path).name}.tmp.exr"))
    target = oiio.ImageOutput.create(temporary)
    try:
        if not target.open(temporary, spec):
            raise FileProblem(f"{path}: {target.geterror()}")
        if not target.write_image(np.ascontiguousarray(pixels)):
            raise FileProblem(f"{path}: {target.geterror()}")
        target.close()
        os.replace(temporary, path)  # noqa: PTH105
    except OSError as error:
        raise FileProblem(f"{path}: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            Path(temporary).unlink(missing_ok=True)


def _check_write(core: NodeCore, path: str) -> None:
    kind = core.knobs["file_type"]._raw_text().strip() or Path(path).suffix[1:]
    if kind != "exr":
        raise NotImplementedError(f"The stand-in writes EXR only, not {kind!r}.")
    convert_check(core)
    folder = Path(path).parent
    if not folder.is_dir():
        if not core.knobs["create_directories"]._number(0):
            raise FileProblem(f"{path}: No such file or directory")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileProblem(f"{path}: {error}") from error


def convert_check(core: NodeCore) -> None:
    """Only unconverted pixels are supported: raw, or a linear colorspace."""
    if core.knobs["raw"]._number(0):
        return
    named = core.knobs["colorspace"]._raw_text()
    working = core.world.root.knobs["workingSpaceLUT"]._raw_text()
    if named not in UNCONVERTED | {working}:
        raise NotImplementedError(
            f"{core.full_name()}: the stand-in converts no colours ({named!r}); set raw."
        )


def _spec(core: NodeCore, image: Image, box: Box, names: list[str]) -> Any:
    def choice(knob: str, fallback: str) -> str:
        return core.knobs[knob]._raw_text() if knob in core.knobs else fallback

    kind = oiio.FLOAT if choice("datatype", "16 bit half") == "32 bit float" else oiio.HALF
    x, y, r, t = box
    spec = oiio.ImageSpec(r - x, t - y, len(names), kind)
    spec.x, spec.y = x, image.format.height() - t
    spec.full_width, spec.full_height = image.format.width(), image.format.height()
    spec.channelnames = [file_name(name) for name in names]
    spec.attribute("compression", COMPRESSION[choice("compression", "Zip (1 scanline)")])
    spec.attribute("PixelAspectRatio", float(image.format.pixelAspect()))
    level = choice("metadata", "default metadata")
    if level != "no metadata":
        if "input/timecode" in image.metadata:
            _put_timecode(spec, image.metadata["input/timecode"])
        if "input/frame_rate" in image.metadata:
            spec.attribute("FramesPerSecond", float(image.metadata["input/frame_rate"]))
    if "exr/*" in level or level.startswith("all"):
        for name, value in image.metadata.items():
            if name.startswith("exr/"):
                spec.attribute(name[4:], value)
    return spec


def _put_timecode(spec: Any, text: str) -> None:
    hours, minutes, seconds, frames = (int(part) for part in text.replace(";", ":").split(":"))
    bits = 0
    for place, number in ((0, frames), (8, seconds), (16, minutes), (24, hours)):
        bits |= (number % 10) << place | (number // 10) << (place + 4)
    spec.attribute("smpte:TimeCode", oiio.TypeTimeCode, (bits, 0))
