"""The optional inputs of a shot: found, checked against the plate, read by role and frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from genai_fill_contract.engine import EngineDescription
from genai_fill_contract.errors import InvalidRequest, MissingFrames, SizeMismatch
from genai_fill_contract.fill import FillRequest
from genai_fill_contract.plate import FrameRange, InputRef, InputRole, Window, is_still, path_at
from genai_fill_server.domain.frame_spelling import spell_frames
from genai_fill_server.domain.recipe import says_generated
from genai_fill_server.service.frame_ports import (
    ColourCodec,
    FrameHeader,
    InputReader,
    JobWatch,
    PlateStore,
)
from genai_fill_server.service.ports import FloatImage, FloatMatte

_MOTION = (InputRole.MOTION_FORWARD, InputRole.MOTION_BACKWARD)

_SPARSE = (InputRole.PATCH, InputRole.REFERENCE)
"""Roles whose files may have gaps: whoever painted three frames of a shot gives these three."""


@dataclass(frozen=True)
class _Source:
    """One frame of an input: which file it is in."""

    given: InputRef
    reader: InputReader


@dataclass(frozen=True)
class ShotInputs:
    """What was given for which role, frame by frame.

    ``hold_generated``: a patch says of itself that a trained model had a part in it.
    """

    sources: Mapping[InputRole, Mapping[int, _Source]] = field(default_factory=dict)
    hold_generated: bool = False

    def frames(self, role: InputRole) -> tuple[int, ...]:
        """Return the frames that ``role`` has, in order."""
        return tuple(sorted(self.sources.get(role, {})))

    def read(
        self, role: InputRole, frame: int, window: Window | None
    ) -> tuple[FloatImage, FloatMatte, str]:
        """Return RGB (h, w, 3), alpha (h, w) in 0 to 1, and the colorspace of the RGB.

        The pixels are the file's own but for motion, whose y axis is turned down, and for
        what is not a number: it becomes 0 and its alpha too. ``window`` None: the whole
        picture. New arrays. Raises `MissingFrames`, `UnreadableImage` or `UnknownChannel`.
        """
        source = self.sources.get(role, {}).get(frame)
        if source is None:
            raise MissingFrames(
                f"The {_name(role)} input has no frame {frame}.",
                hint="Render it, or disconnect the input.",
                frame=frame,
            )
        where = source.reader.header(frame).display if window is None else window
        rgb, alpha = source.reader.read(frame, where)
        usable = np.isfinite(rgb).all(axis=-1) & np.isfinite(alpha)
        pixels = np.where(usable[..., None], rgb, np.float32(0))
        covered = np.where(usable, np.clip(alpha, 0, 1), np.float32(0))
        if role in _MOTION:
            pixels[..., 1] *= -1
        return pixels, covered.astype(np.float32, copy=False), source.given.colorspace


def check_inputs(
    request: FillRequest,
    engine: EngineDescription,
    plates: PlateStore,
    colour: ColourCodec,
    display: Window,
    watch: JobWatch,
) -> ShotInputs:
    """Return the optional inputs that ``engine`` uses, or raise what is wrong with them.

    Inputs of other roles are told once in the job's log and left alone. Data and patches
    must have the plate's display size; data must be there on every frame of the fill that
    its range names. Raises `MissingFrames`, `SizeMismatch`, `UnreadableImage`,
    `UnknownColorspace`, `UnknownChannel`, or `InvalidRequest` when two inputs of one role
    have the same frame.
    """
    ignored = {given.role for given in request.inputs} - set(engine.inputs)
    if ignored:
        names = ", ".join(sorted(_name(role) for role in ignored))
        watch.log(f"{engine.label} does not use these inputs, they are ignored: {names}.")
    sources: dict[InputRole, dict[int, _Source]] = {}
    for given in request.inputs:
        if given.role in ignored:
            continue
        if given.role.is_colour:
            colour.check(given.colorspace)
        reader = plates.open_input(given)
        frames = _frames_of(given, reader, request.frame_range, watch)
        _check_pictures(given, reader, frames, display, watch)
        taken = sources.setdefault(given.role, {})
        if twice := sorted(set(frames) & set(taken)):
            raise InvalidRequest(
                f"Two {_name(given.role)} inputs have frame {spell_frames(twice)}: "
                f"{path_at(taken[twice[0]].given.path_pattern, twice[0])} and "
                f"{path_at(given.path_pattern, twice[0])}.",
                hint="Disconnect one of them, or give them ranges that do not overlap.",
                frame=twice[0],
            )
        taken.update({frame: _Source(given, reader) for frame in frames})
    patches = sources.get(InputRole.PATCH, {})
    generated = any(is_generated(source.reader.header(frame)) for frame, source in patches.items())
    return ShotInputs(sources, generated)


def is_generated(header: FrameHeader) -> bool:
    """Whether a file's header says that a trained model had a part in its pixels."""
    return any(says_generated(entry.name, entry.value) for entry in header.metadata)


def _frames_of(
    given: InputRef, reader: InputReader, filled: FrameRange, watch: JobWatch
) -> tuple[int, ...]:
    """Return the frames on disk; raise `MissingFrames` for those that should be."""
    if given.role in _SPARSE and is_still(given.path_pattern):
        claimed: tuple[int, ...] = (given.frame_range.first,)
    else:
        claimed = tuple(given.frame_range)
    missing: set[int] = set()
    for start in range(0, len(claimed), 64):
        watch.check()
        missing.update(reader.missing(claimed[start : start + 64]))
    found = tuple(frame for frame in claimed if frame not in missing)
    needed = () if given.role in _SPARSE else [frame for frame in missing if frame in filled]
    if needed or not found:
        lost = sorted(needed or missing)
        raise MissingFrames(
            f"Frames {spell_frames(lost)} of the {_name(given.role)} input are not on disk: "
            f"{path_at(given.path_pattern, lost[0])}.",
            hint="Render them, shorten the input's range, or disconnect it.",
            count=len(lost),
            path=given.path_pattern,
        )
    return found


def _check_pictures(
    given: InputRef,
    reader: InputReader,
    frames: tuple[int, ...],
    display: Window,
    watch: JobWatch,
) -> None:
    """Raise unless every frame can be opened and, if it must, has the plate's size."""
    for frame in frames[:1] if is_still(given.path_pattern) else frames:
        watch.check()
        theirs = reader.header(frame).display
        if given.role is not InputRole.REFERENCE and theirs != display:
            raise SizeMismatch(
                f"The {_name(given.role)} input at {frame} is {theirs.width} x {theirs.height}, "
                f"the plate is {display.width} x {display.height}.",
                hint="Reformat the input to the plate's format.",
                frame=frame,
            )
    # One pixel is enough to meet a layer or view that is not there.
    corner = reader.header(frames[0]).data_window
    reader.read(frames[0], Window(corner.x0, corner.y0, corner.x0 + 1, corner.y0 + 1))


def _name(role: InputRole) -> str:
    return role.value.replace("_", " ")
