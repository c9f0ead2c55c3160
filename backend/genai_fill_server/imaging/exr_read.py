"""Read plates, mattes and headers: EXR first, anything OpenImageIO knows besides."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import OpenImageIO as oiio  # noqa: N813 - its own community spells it so

from genai_fill_contract.errors import GenAIFillError
from genai_fill_contract.plate import Window
from genai_fill_server.imaging.channels import FileChannel, find_channel, find_layer, find_rgb
from genai_fill_server.imaging.image_file import (
    MAX_PIXELS,
    MAX_SUBIMAGES,
    ask,
    check_sane,
    data_window,
    opened,
    quietly,
    unreadable,
)
from genai_fill_server.imaging.metadata import carried_on
from genai_fill_server.service.frame_ports import FrameHeader
from genai_fill_server.service.ports import FloatImage, FloatMatte

Planes = npt.NDArray[np.float32]
Stored = npt.NDArray[np.float16] | npt.NDArray[np.float32]


Choice = Callable[[Sequence[FileChannel], Sequence[str], str], Sequence[FileChannel]]
"""Takes from a file's channels (its views, its path) those that are wanted of it."""


def rgb_of(layer: str, view: str) -> Choice:
    """Return the choice of what `read_rgb` reads."""
    return lambda channels, views, path: find_rgb(channels, layer, view, views, path)


def channel_of(name: str, view: str) -> Choice:
    """Return the choice of what `read_channel` reads."""
    return lambda channels, views, path: (find_channel(channels, name, view, views, path),)


def layer_of(layer: str, view: str) -> Choice:
    """Return the choice of what `read_layer` reads."""

    def choose(
        channels: Sequence[FileChannel], views: Sequence[str], path: str
    ) -> Sequence[FileChannel]:
        colours, alpha = find_layer(channels, layer, view, views, path)
        return colours if alpha is None else (*colours, alpha)

    return choose


def read_header(path: str, frame: int, choice: Choice | None = None) -> FrameHeader:
    """Return what the file says of itself; no pixel is read.

    The data window and the pixel type are those of the channels chosen, in whichever parts
    they are; without a choice, and for all the rest, the first part speaks for the file.
    Raises `MissingFrames`, `UnreadableImage`, or `UnknownChannel` by the choice.
    """
    with opened(path, frame) as image, quietly(path, frame):
        spec = image.spec()
        check_sane(spec, path, frame)
        if spec.full_width <= 0 or spec.full_height <= 0:
            raise unreadable(path, frame, "its display window is empty")
        aspect = ask(lambda: float(spec.get_float_attribute("PixelAspectRatio", 1.0)), 1.0)
        channels, views = _file_channels(image)
        chosen = () if choice is None else choice(channels, views, path)
        window, pixel_type = data_window(spec), str(spec.format)
        if chosen:
            window, pixel_type = _window_and_type(image, chosen, path, frame)
        return FrameHeader(
            display=Window(0, 0, spec.full_width, spec.full_height),
            data_window=window,
            origin=(spec.full_x, spec.full_y),
            pixel_aspect=aspect if 0.01 < aspect < 100 else 1.0,
            pixel_type=pixel_type,
            channels=tuple(channel.name for channel in channels),
            metadata=carried_on(spec),
        )


def read_rgb(path: str, frame: int, window: Window, layer: str, view: str) -> FloatImage:
    """Return RGB (h, w, 3) of ``layer`` in ``view``: float32, the file's own values.

    Integer files are scaled to 0 to 1. 0 where the data window does not reach. Raises
    `MissingFrames`, `UnreadableImage` or `UnknownChannel`.
    """
    with opened(path, frame) as image, quietly(path, frame):
        channels, views = _file_channels(image)
        chosen = find_rgb(channels, layer, view, views, path)
        return np.asarray(_read(image, chosen, window, path, frame), np.float32)


def read_stored_rgb(path: str, frame: int, window: Window, layer: str, view: str) -> Stored:
    """Return what `read_rgb` returns, as half where the file has all three as half.

    For keeping: half the bytes, and the same values. Raises as `read_rgb`.
    """
    with opened(path, frame) as image, quietly(path, frame):
        channels, views = _file_channels(image)
        chosen = find_rgb(channels, layer, view, views, path)
        return _read(image, chosen, window, path, frame, as_stored=True)


def read_channel(path: str, frame: int, window: Window, name: str, view: str) -> FloatMatte:
    """Return one channel (h, w), float32, named as Nuke names it. Raises as `read_rgb`."""
    with opened(path, frame) as image, quietly(path, frame):
        channels, views = _file_channels(image)
        chosen = find_channel(channels, name, view, views, path)
        plane = _read(image, (chosen,), window, path, frame)[..., 0]
        return np.ascontiguousarray(plane, np.float32)


def read_layer(path: str, frame: int, window: Window, layer: str, view: str) -> Planes:
    """Return RGBA (h, w, 4) of a layer of any number of channels: float32, the file's values.

    One channel stands for R, G and B, a missing third one is 0; without an alpha, alpha is 1
    in the data window. Raises as `read_rgb`.
    """
    with opened(path, frame) as image, quietly(path, frame):
        channels, views = _file_channels(image)
        colours, alpha = find_layer(channels, layer, view, views, path)
        chosen = colours if alpha is None else (*colours, alpha)
        planes = _read(image, chosen, window, path, frame)
        have = _window_and_type(image, colours, path, frame)[0].intersection(window)
    rgba = np.zeros((window.height, window.width, 4), dtype=np.float32)
    if len(colours) == 1:
        rgba[..., :3] = planes[..., :1]
    else:
        rgba[..., : len(colours)] = planes[..., : len(colours)]
    if alpha is not None:
        rgba[..., 3] = planes[..., len(colours)]
    elif not have.is_empty:
        inside = have.shifted(-window.x0, -window.y0)
        rgba[inside.y0 : inside.y1, inside.x0 : inside.x1, 3] = 1.0
    return rgba


def _file_channels(image: oiio.ImageInput) -> tuple[list[FileChannel], list[str]]:
    """Return every channel of every part, and the names of the views."""
    channels: list[FileChannel] = []
    views: list[str] = []
    part = 0
    while part < MAX_SUBIMAGES and image.seek_subimage(part, 0):
        spec = image.spec()
        part_view = ask(lambda: str(spec.get_string_attribute("view")), "")  # noqa: B023
        part_name = ask(
            lambda: str(spec.get_string_attribute("oiio:subimagename")),  # noqa: B023
            "",
        )
        views += [part_view] if part_view else []
        views += _listed_views(spec)
        channels += [
            FileChannel(part, index, name, part_name, part_view)
            for index, name in enumerate(spec.channelnames)
        ]
        part += 1
    image.seek_subimage(0, 0)
    return channels, list(dict.fromkeys(views))


def _listed_views(spec: oiio.ImageSpec) -> list[str]:
    listed = ask(lambda: spec.getattribute("multiView"), None)
    if isinstance(listed, str):
        return [name.strip() for name in listed.split(",") if name.strip()]
    if isinstance(listed, tuple | list):
        return [name for name in listed if isinstance(name, str)]
    return []


def _window_and_type(
    image: oiio.ImageInput, chosen: Sequence[FileChannel], path: str, frame: int
) -> tuple[Window, str]:
    """Return the data windows of the chosen channels' parts together, and their pixel type."""
    window = Window(0, 0, 0, 0)
    kinds: list[oiio.TypeDesc] = []
    for part in dict.fromkeys(channel.part for channel in chosen):
        spec = _spec_of(image, part, path, frame)
        window = window.union(data_window(spec))
        kinds += [spec.channelformat(c.index) for c in chosen if c.part == part]
    if window.width * window.height > MAX_PIXELS:
        size = f"{window.width} x {window.height} pixels"
        raise unreadable(path, frame, f"its parts lie too far apart: {size} together")
    widest = max(kinds, key=lambda kind: (kind.size(), kind == oiio.FLOAT))
    return window, str(widest)


def _spec_of(image: oiio.ImageInput, part: int, path: str, frame: int) -> oiio.ImageSpec:
    """Return what a part says of itself, and turn to it. Raises `UnreadableImage`."""
    if not image.seek_subimage(part, 0):
        raise unreadable(path, frame, f"its part {part} cannot be opened")
    spec = image.spec()
    check_sane(spec, path, frame)
    return spec


def _read(
    image: oiio.ImageInput,
    chosen: Sequence[FileChannel],
    window: Window,
    path: str,
    frame: int,
    as_stored: bool = False,
) -> Stored:
    shape = (window.height, window.width, len(chosen))
    result: Stored = np.zeros(shape, np.float32)
    if as_stored and all(_is_half(image, channel) for channel in chosen):
        result = np.zeros(shape, np.float16)
    for part in dict.fromkeys(channel.part for channel in chosen):
        spec = _spec_of(image, part, path, frame)
        shared = data_window(spec).intersection(window)
        if shared.is_empty:
            continue
        places = [i for i, channel in enumerate(chosen) if channel.part == part]
        indices = [chosen[i].index for i in places]
        pixels = _pixels(image, part, shared, indices)
        if pixels is None:
            raise unreadable(path, frame, ask(image.geterror, "") or "its pixels are damaged")
        rows = slice(shared.y0 - window.y0, shared.y1 - window.y0)
        columns = slice(shared.x0 - window.x0, shared.x1 - window.x0)
        if places == list(range(len(chosen))):
            result[rows, columns] = pixels
        else:
            result[rows, columns, places] = pixels
    return result


def _is_half(image: oiio.ImageInput, channel: FileChannel) -> bool:
    if not image.seek_subimage(channel.part, 0):
        return False
    return bool(image.spec().channelformat(channel.index) == oiio.HALF)


def _pixels(
    image: oiio.ImageInput, part: int, window: Window, indices: Sequence[int]
) -> Stored | None:
    """Read ``window`` (inside the data window) of the channels at ``indices``."""
    spec = image.spec()
    first, last = min(indices), max(indices) + 1
    # Rows are read whole and cut: half costs less until then, and loses nothing of half.
    is_half = all(spec.channelformat(index) == oiio.HALF for index in indices)
    kind = oiio.HALF if is_half else oiio.FLOAT
    rows = (window.y0 + spec.full_y, window.y1 + spec.full_y)
    left = spec.x
    if spec.tile_width:
        area = _whole_tiles(spec, window)
        raw = image.read_tiles(part, 0, area.x0, area.x1, area.y0, area.y1, 0, 1, first, last, kind)
        if raw is None:
            return None
        left = area.x0
        top = rows[0] - area.y0
        raw = raw.reshape(area.height, area.width, last - first)[top : top + window.height]
    else:
        raw = image.read_scanlines(part, 0, rows[0], rows[1], 0, first, last, kind)
        if raw is None:
            return None
        raw = raw.reshape(window.height, spec.width, last - first)
    start = window.x0 + spec.full_x - left
    cut = raw[:, start : start + window.width]
    wanted = [index - first for index in indices]
    return cut if wanted == list(range(last - first)) else cut[..., wanted]


def _whole_tiles(spec: oiio.ImageSpec, window: Window) -> Window:
    """Return the tiles that hold ``window``, in the file's own coordinates."""

    def down(value: int, origin: int, tile: int) -> int:
        return (value - origin) // tile * tile + origin

    x0 = down(window.x0 + spec.full_x, spec.x, spec.tile_width)
    y0 = down(window.y0 + spec.full_y, spec.y, spec.tile_height)
    x1 = down(window.x1 + spec.full_x + spec.tile_width - 1, spec.x, spec.tile_width)
    y1 = down(window.y1 + spec.full_y + spec.tile_height - 1, spec.y, spec.tile_height)
    return Window(x0, y0, min(x1, spec.x + spec.width), min(y1, spec.y + spec.height))


def is_readable(path: str, frame: int) -> bool:
    """Whether the file is there and its header makes sense."""
    try:
        read_header(path, frame)
    except GenAIFillError:
        return False
    return True
