"""Check a request against what is on disk, before any work is done.

What is wrong with the input is told at once and by name: which frames are missing, which have
another size, where the matte is empty, what the colorspace may have been meant to be.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from genai_fill_contract.engine import EngineDescription
from genai_fill_contract.errors import (
    EmptyMatte,
    MissingFrames,
    ModelMissing,
    RangeMismatch,
    SizeMismatch,
    UnreadableImage,
)
from genai_fill_contract.fill import FillRequest, OptionValue
from genai_fill_contract.plate import Window, is_still, path_at
from genai_fill_contract.take import Take
from genai_fill_server.domain.crop_window import CropRules, plan_crops
from genai_fill_server.domain.frame_spelling import spell_frames
from genai_fill_server.service.frame_ports import (
    ColourCodec,
    FrameHeader,
    FramePorts,
    JobWatch,
    PlateReader,
)
from genai_fill_server.service.shot_inputs import ShotInputs, check_inputs, is_generated
from genai_fill_server.service.shot_mattes import ShotMattes

_HeaderOf = Callable[[int], FrameHeader]

MAX_BOUNDS_PIXELS = 1 << 29
"""No plate spans more, format and overscan together: an inverted matte fills all of it."""

COMPRESSED_SHARE = 0.9
"""How much of its raw size a frame of grainy plate still has as a zip EXR, to be safe."""


@dataclass(frozen=True)
class CheckedRequest:
    """A request that can be run, and what checking it found out.

    ``crops`` has one window a frame, all of one size; ``empty_frames`` are those without any
    matte: their plate passes through. ``from_generated``: the plate or a patch says of itself
    that a trained model had a part in it.
    """

    request: FillRequest
    options: Mapping[str, OptionValue]
    plate: PlateReader
    mattes: ShotMattes
    colour: ColourCodec
    crops: Mapping[int, Window]
    empty_frames: frozenset[int]
    inputs: ShotInputs = field(default_factory=ShotInputs)
    from_generated: bool = False


def check_request(
    request: FillRequest,
    engine: EngineDescription,
    takes: Sequence[Take],
    ports: FramePorts,
    watch: JobWatch,
) -> CheckedRequest:
    """Return the request ready to run, or raise what is wrong with it.

    Raises `ModelMissing`, `InvalidOption`, `RangeMismatch`, `MissingFrames`, `SizeMismatch`,
    `UnreadableImage`, `UnknownColorspace`, `UnknownChannel`, `EmptyMatte`, `ConfigError`,
    `OutputNotWritable` or `DiskFull`. Every matte in the range is read once.
    """
    if not engine.available:
        raise ModelMissing(
            f"The engine {engine.label!r} cannot be used here.",
            hint=engine.unavailable_reason or "Choose another engine.",
            engine=engine.id,
        )
    options = engine.resolve(request.engine_options)
    colour = ports.colour(request.colour)
    colour.check(request.plate.colorspace)
    _check_ranges(request)
    plate = ports.plates.open_plate(request.plate)
    matte = ports.plates.open_matte(request.matte)
    _check_on_disk(plate.missing(request.frame_range), "plate", request.plate.path_pattern)
    _check_on_disk(matte.missing(request.frame_range), "matte", request.matte.path_pattern)
    bounds, first = _check_sizes(request, plate, matte.header, watch)
    x0, y0 = first.data_window.x0, first.data_window.y0
    # One pixel is enough to meet a layer or view that is not there.
    plate.read(request.frame_range.first, Window(x0, y0, x0 + 1, y0 + 1))
    mattes = ShotMattes(matte, request.matte, request.shaping, bounds)
    reaches = _check_mattes(request, mattes, watch)
    inputs = check_inputs(request, engine, ports.plates, colour, first.display, watch)
    crops = plan_crops(reaches, request.frame_range, bounds, _crop_rules(request, engine))
    _check_places(takes, crops[request.frame_range.first], first, ports)
    empty = frozenset(frame for frame, window in reaches.items() if window.is_empty)
    generated = is_generated(first) or inputs.hold_generated
    return CheckedRequest(request, options, plate, mattes, colour, crops, empty, inputs, generated)


def _crop_rules(request: FillRequest, engine: EngineDescription) -> CropRules:
    asked = request.crop.context_px
    return CropRules(
        mode=request.crop.mode,
        context_px=engine.context_px if asked < 0 else asked,
        multiple_px=engine.size_multiple_px,
        native_size_px=engine.native_size_px,
    )


def _check_ranges(request: FillRequest) -> None:
    inputs = [("plate", request.plate.frame_range)]
    if not is_still(request.matte.path_pattern):
        inputs.append(("matte", request.matte.frame_range))
    for name, have in inputs:
        if request.frame_range.first not in have or request.frame_range.last not in have:
            raise RangeMismatch(
                f"Frames {request.frame_range} were asked for, the {name} has {have}.",
                hint="Shorten the frame range, or render the rest of the input.",
                first=have.first,
                last=have.last,
            )


def _check_on_disk(missing: Sequence[int], name: str, pattern: str) -> None:
    if missing:
        one = len(missing) == 1
        raise MissingFrames(
            f"{'Frame' if one else 'Frames'} {spell_frames(missing)} of the {name} "
            f"{'is' if one else 'are'} not on disk: {path_at(pattern, missing[0])}.",
            hint=f"Render {'it' if one else 'them'}, or shorten the frame range.",
            count=len(missing),
            path=pattern,
        )


def _check_sizes(
    request: FillRequest, plate: PlateReader, matte_header: _HeaderOf, watch: JobWatch
) -> tuple[Window, FrameHeader]:
    """Return the plate's bounds (display and data windows together) and its first header."""
    first = plate.header(request.frame_range.first)
    bounds = first.display
    for frame in request.frame_range:
        watch.check()
        header = plate.header(frame)
        if header.display != first.display:
            raise _other_size(
                f"Frame {frame} of the plate",
                header.display,
                f"frame {request.frame_range.first}",
                first.display,
                "Bring every frame of the plate to one format before the node.",
            )
        matte = matte_header(frame)
        if matte.display != first.display:
            raise _other_size(
                f"Frame {frame} of the matte",
                matte.display,
                "the plate",
                first.display,
                "Reformat the matte to the plate's format.",
            )
        bounds = bounds.union(header.data_window)
        if bounds.width * bounds.height > MAX_BOUNDS_PIXELS:
            raise _far_off(request, frame, header)
    return bounds, first


def _far_off(request: FillRequest, frame: int, header: FrameHeader) -> UnreadableImage:
    path = path_at(request.plate.path_pattern, frame)
    window = header.data_window
    return UnreadableImage(
        f"Frame {frame} of the plate has its data window far from its format: "
        f"x {window.x0} to {window.x1}, y {window.y0} to {window.y1} in {path}.",
        hint="Crop it to the format, with some overscan, before the node.",
        path=path,
        frame=frame,
    )


def _other_size(who: str, theirs: Window, whose: str, ours: Window, hint: str) -> SizeMismatch:
    return SizeMismatch(
        f"{who} is {theirs.width} x {theirs.height}, {whose} is {ours.width} x {ours.height}.",
        hint=hint,
    )


def _check_mattes(request: FillRequest, mattes: ShotMattes, watch: JobWatch) -> dict[int, Window]:
    """Return where the shaped matte reaches on each frame. Raises `EmptyMatte`."""
    reaches: dict[int, Window] = {}
    for frame in request.frame_range:
        watch.check()
        reaches[frame] = mattes.reach_window(frame)
    if all(window.is_empty for window in reaches.values()):
        drawn = any(not mattes.drawn_window(frame).is_empty for frame in request.frame_range)
        cause = f" once shrunk by {-request.shaping.grow_px:g} px" if drawn else ""
        raise EmptyMatte(
            f"The matte ({request.matte.channel}) is empty on frames {request.frame_range}{cause}.",
            hint="Paint it inside the plate, check its channel and inversion, or shorten the "
            "frame range.",
            first=request.frame_range.first,
            last=request.frame_range.last,
        )
    return reaches


def _check_places(
    takes: Sequence[Take], crop: Window, header: FrameHeader, ports: FramePorts
) -> None:
    """Raise unless every frame fits that is not on disk yet: a resumed job needs less."""
    sample_bytes = 2 if header.pixel_type == "half" else 4
    frame_bytes = int(crop.width * crop.height * 4 * sample_bytes * COMPRESSED_SHARE)
    to_write = sum(
        not os.path.exists(path_at(take.path_pattern, frame))  # noqa: PTH110 - hot loop
        for take in takes
        for frame in take.frame_range
    )
    for take in takes:
        ports.takes.check_place(path_at(take.path_pattern, 0), frame_bytes * to_write)
