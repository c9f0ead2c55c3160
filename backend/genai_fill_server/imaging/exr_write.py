"""Write take frames as EXR: whole or not at all.

The data window is the crop, the display window, pixel aspect, timecode and metadata are the
plate's. Half where the plate is half and every value fits, else float. Extra layers are always
float: they may hold frame numbers, which half rounds above 2048.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import OpenImageIO as oiio  # noqa: N813 - its own community spells it so

from genai_fill_contract.errors import DiskFull, GenAIFillError, InvalidRequest, OutputExists
from genai_fill_contract.plate import Window
from genai_fill_server.domain.hdr_shoulder import HALF_MAX
from genai_fill_server.imaging.image_file import ask, data_window
from genai_fill_server.imaging.metadata import set_on
from genai_fill_server.service.allocate_takes import PART_SUFFIX, output_error
from genai_fill_server.service.frame_ports import TakeFrame

COMPRESSION = "zip"
RESERVE_BYTES = 64 * 1024 * 1024
"""Never plan to use the last of a disk."""

PROBE_BYTES = 64 * 1024
"""How much more is written to ask the system why a write failed: more than a block."""


class ExrTakeStore:
    """Writes takes to folders (`TakeStore`)."""

    def check_place(self, path: str, needed_bytes: int) -> None:
        """Raise `OutputNotWritable` or `DiskFull` before any work is done."""
        folder = Path(path).parent
        probe = folder / f".{secrets.token_hex(8)}.probe"
        try:
            probe.touch(exist_ok=False)
            probe.unlink()
            free = shutil.disk_usage(folder).free
        except OSError as error:
            raise output_error(error, folder) from error
        wanted = needed_bytes + RESERVE_BYTES
        if free < wanted:
            raise DiskFull(
                f"The disk of {folder.as_posix()} has {_in_gb(free)} free, {_in_gb(wanted)} are "
                "needed.",
                hint="Free some space there, choose another output folder, or fill fewer frames, "
                "fewer takes or a smaller crop.",
                path=folder.as_posix(),
            )

    def write_frame(self, path: str, frame: TakeFrame) -> None:
        """Write one frame beside its name, then rename it into place."""
        target = Path(path)
        with _whole_file(target) as temporary:
            _write_exr(temporary, frame, target)

    def is_complete(self, path: str, window: Window, labels: Mapping[str, str]) -> bool:
        """Whether a whole frame of ours with this crop is at ``path``.

        Frames are renamed into place, so one with our labels is whole. Raises `OutputExists`
        for a file that is not ours, and `InvalidRequest` for one of ours with another crop.
        """
        if not Path(path).exists():
            return False
        image = oiio.ImageInput.open(path)
        if image is None:
            ask(oiio.geterror, "")
            raise _not_ours(path)
        try:
            spec = image.spec()
            theirs = {name: ask(lambda n=name: spec.get_string_attribute(n), "") for name in labels}  # type: ignore[misc]
            if theirs != dict(labels):
                raise _not_ours(path)
            if data_window(spec) != window:
                raise InvalidRequest(
                    f"The plate or the matte has changed since this job made {path}: its crop "
                    "is another one now.",
                    hint="Generate again: a new version is made of what is there now, and the "
                    "finished frames of this one stay.",
                    path=path,
                )
        finally:
            image.close()
        return True

    def write_recipe(self, path: str, recipe: Mapping[str, object]) -> None:
        """Write the sidecar as JSON, replacing an earlier one at once."""
        target = Path(path)
        text = json.dumps(recipe, ensure_ascii=False, allow_nan=False, indent=1)
        with _whole_file(target) as temporary:
            try:
                temporary.write_text(text + "\n", encoding="utf-8")
            except OSError as error:
                raise output_error(error, target) from error


def _not_ours(path: str) -> OutputExists:
    return OutputExists(
        f"There is a file already that this job did not write: {path}.",
        hint="Move it away, or generate a new take; nothing is ever overwritten.",
        path=path,
    )


@contextlib.contextmanager
def _whole_file(target: Path) -> Iterator[Path]:
    """Give a temporary path beside ``target`` and rename it when the block succeeds.

    On any failure, cancelling included, the temporary file is removed.
    """
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}{PART_SUFFIX}")
    try:
        yield temporary
        try:
            _flush_to_disk(temporary)
            temporary.replace(target)
        except OSError as error:
            raise output_error(error, target) from error
    finally:
        with contextlib.suppress(OSError):  # mostly that it is not there any more
            temporary.unlink()


def _flush_to_disk(path: Path) -> None:
    """Make sure that a rename cannot outlive its bytes when the machine goes down."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_exr(temporary: Path, frame: TakeFrame, target: Path) -> None:
    planes = [frame.rgb, frame.alpha[..., None]]
    names = ["R", "G", "B", "A"]
    for name, plane in frame.layers.items():
        planes.append(plane if plane.ndim == 3 else plane[..., None])
        names += _channel_names(name, planes[-1].shape[2])
    for plane in planes:
        if plane.shape[:2] != (frame.window.height, frame.window.width):
            raise InvalidRequest(
                f"A layer of {target.name} is {plane.shape[1]} x {plane.shape[0]} pixels, its "
                f"crop {frame.window.width} x {frame.window.height}.",
                hint="An engine's layers must have the size of its window.",
            )
    spec = _spec(frame, names)
    pixels = np.concatenate(planes, axis=2, dtype=np.float32)
    output = oiio.ImageOutput.create("exr")
    if output is None:
        raise _write_error(temporary, target, ask(oiio.geterror, ""))
    done = output.open(str(temporary), spec) and output.write_image(pixels)
    reason = ask(output.geterror, "")
    if not (output.close() and done):
        raise _write_error(temporary, target, reason or ask(output.geterror, ""))
    if not _ends_whole(temporary, spec):
        raise _write_error(temporary, target, "the end of the file could not be written")


def _ends_whole(path: Path, spec: oiio.ImageSpec) -> bool:
    """Whether the last rows are really in the file.

    OpenEXR flushes its last buffer while closing and tells nobody when that fails.
    """
    image = oiio.ImageInput.open(str(path))
    if image is None:
        ask(oiio.geterror, "")
        return False
    last = spec.y + spec.height - 1
    rows = image.read_scanlines(0, 0, last, last + 1, 0, 0, spec.nchannels, oiio.HALF)
    ask(image.geterror, "")
    image.close()
    return rows is not None


def _channel_names(layer: str, count: int) -> list[str]:
    if count == 1:
        return [layer if "." in layer else f"{layer}.Y"]
    return [f"{layer}.{letter}" for letter in "RGBA"[:count]]


def _spec(frame: TakeFrame, names: list[str]) -> oiio.ImageSpec:
    header, window = frame.header, frame.window
    main = oiio.HALF if _fits_half(frame) else oiio.FLOAT
    spec = oiio.ImageSpec(window.width, window.height, len(names), main)
    spec.channelnames = tuple(names)
    spec.alpha_channel = 3
    if main == oiio.HALF and len(names) > 4:
        half, float_ = oiio.TypeDesc("half"), oiio.TypeDesc("float")
        spec.channelformats = tuple([half] * 4 + [float_] * (len(names) - 4))
    left, top = header.origin
    spec.x, spec.y = window.x0 + left, window.y0 + top
    spec.full_x, spec.full_y = left, top
    spec.full_width, spec.full_height = header.display.width, header.display.height
    set_on(spec, header.metadata)
    spec.attribute("PixelAspectRatio", float(header.pixel_aspect))
    spec.attribute("compression", COMPRESSION)
    for name, text in frame.labels.items():
        spec.attribute(name, text)
    return spec


def _fits_half(frame: TakeFrame) -> bool:
    """Whether the plate is half and no finite value would overflow to infinity."""
    if frame.header.pixel_type != "half":
        return False
    finite = np.where(np.isfinite(frame.rgb), np.abs(frame.rgb), np.float32(0))
    return bool(finite.max(initial=0) <= HALF_MAX)


def _write_error(temporary: Path, target: Path, reason: str) -> GenAIFillError:
    """Tell a full disk from one that cannot be written: the library's text says neither.

    The system says it when a little more is written to the same file. A quota that is used
    up shows that way only: the disk itself has room.
    """
    try:
        if shutil.disk_usage(target.parent).free < RESERVE_BYTES // 64:
            return output_error(OSError(errno.ENOSPC, reason), target)
        _write_a_little_more(temporary)
    except OSError as error:
        return output_error(error, target)
    return output_error(OSError(errno.EIO, reason.strip().rstrip(".") or "unknown"), target)


def _write_a_little_more(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        left = PROBE_BYTES
        while left > 0:
            left -= os.write(descriptor, bytes(left))
        os.fsync(descriptor)  # network disks tell of a used-up quota no sooner
    finally:
        os.close(descriptor)


def _in_gb(count: int) -> str:
    return f"{count / 1e9:,.1f} GB"
