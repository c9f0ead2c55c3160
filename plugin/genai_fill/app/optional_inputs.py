"""Which frames of the optional inputs and of the hero frames go to the backend."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from genai_fill.app.ports import NodeInputs, OptionalInput, TakeFiles
from genai_fill.domain.frame_ranges import frames_in_words, runs_of
from genai_fill.domain.heroes import HeroFrame, HeroList
from genai_fill.domain.reachable import is_under
from genai_fill_contract.engine import EngineDescription
from genai_fill_contract.errors import MissingFrames, RangeMismatch
from genai_fill_contract.plate import FrameRange, InputRef, InputRole, path_at

DATA = "data"
"""The OCIO role of what is no colour."""

_MOTION = (InputRole.MOTION_FORWARD, InputRole.MOTION_BACKWARD, InputRole.STMAP)
_LAYERS = {InputRole.MOTION_FORWARD: "forward", InputRole.MOTION_BACKWARD: "backward"}
_ROLES = {
    "reference": (InputRole.REFERENCE,),
    "motion": _MOTION,
    "patch": (InputRole.PATCH,),
    "control": (InputRole.CONTROL,),
}
"""What each optional input of the node can be."""


@dataclass(frozen=True)
class WantedInput:
    """One input of a fill. Without a pattern its frames have to be written first."""

    role: InputRole
    frames: tuple[int, ...]
    path_pattern: str = ""

    def refs(self, pattern: str, *, colorspace: str, view: str) -> tuple[InputRef, ...]:
        """Return the input as messages have it, on disk as ``pattern``: one a run of frames."""
        return tuple(
            InputRef(
                self.role,
                pattern,
                run,
                colorspace=colorspace if self.role.is_colour else DATA,
                layer=layer_of(self.role),
                view=view,
            )
            for run in runs_of(self.frames)
        )


@dataclass(frozen=True)
class FillFrames:
    """The frames around a fill: what is filled, what of the plate may help, what there is.

    ``current`` is where the artist looks.
    """

    fill: FrameRange
    reach: FrameRange
    plate: FrameRange
    current: int


def layer_of(role: InputRole) -> str:
    """Return the layer of the file in which a role's channels are."""
    return _LAYERS.get(role, "rgb")


def want_inputs(
    given: Iterable[OptionalInput], heroes: HeroList, frames: FillFrames, roots: tuple[str, ...]
) -> tuple[WantedInput, ...]:
    """Return what is wanted of the inputs ``given``, and the heroes as patches.

    Files of an input are passed on where they lie if that is under ``roots``. A hero goes
    before a frame of the patch input. Raises `RangeMismatch`.
    """
    wanted = []
    for one in given:
        numbers = _frames_of(one, frames)
        if one.role is InputRole.PATCH:
            numbers = tuple(number for number in numbers if number not in heroes.frames)
        if numbers:
            wanted.append(WantedInput(one.role, numbers, _pattern_of(one, numbers, roots)))
    for hero in heroes.heroes:
        _require_in_plate(hero, frames.plate)
        wanted.append(WantedInput(InputRole.PATCH, (hero.frame,), hero.path_pattern))
    return tuple(wanted)


def notes_on(inputs: NodeInputs, heroes: HeroList, engine: EngineDescription) -> Iterator[str]:
    """Yield what an artist should know of inputs that are connected and have no effect."""
    unused = [name for name in inputs.optional if not set(_ROLES[name]) & set(engine.inputs)]
    if unused:
        yield f"{engine.label} does not use what is connected to {', '.join(unused)}."
    if InputRole.PATCH in engine.inputs and "patch" in inputs.optional and heroes.heroes:
        where = frames_in_words(heroes.frames)
        yield f"Hero frames go before the patch input at {where}."


def require_files(heroes: HeroList, files: TakeFiles) -> None:
    """Raise `MissingFrames` when the file of a hero frame is gone."""
    for hero in heroes.heroes:
        path = path_at(hero.path_pattern, hero.frame)
        if not files.has(path):
            raise MissingFrames(
                f"The hero frame {hero.frame} of {hero.label} is not on disk any more: {path}.",
                hint="Bring the file back, or remove it from the hero frames.",
                frame=hero.frame,
            )


def reach_with_patches(
    frames: FillFrames, given: Iterable[OptionalInput], heroes: HeroList
) -> FrameRange:
    """Return the frames of the plate to send: those that help, and up to each named patch."""
    numbers = [frames.reach.first, frames.reach.last, *heroes.frames]
    for one in given:
        if one.role is InputRole.PATCH and (one.named or len(one.frames) == 1):
            numbers += _frames_of(one, frames)
    return FrameRange(min(numbers), max(numbers))


def _frames_of(one: OptionalInput, frames: FillFrames) -> tuple[int, ...]:
    """Return the frames at which an input is wanted. Raises `RangeMismatch`."""
    if one.role is InputRole.REFERENCE:
        return (frames.current if frames.current in one.frames else one.frames.first,)
    if one.role is InputRole.PATCH:
        return _patch_frames(one, frames)
    wanted = frames.reach if one.role in _MOTION else frames.fill
    if len(one.frames) == 1:  # Nuke holds a still over every frame
        return tuple(wanted)
    shared = tuple(frame for frame in wanted if frame in one.frames)
    if not set(shared) & set(frames.fill):
        raise RangeMismatch(
            f"The {_name(one.role)} input has frames {one.frames}, none of the frames "
            f"{frames.fill} that are filled.",
            hint="Move it in time, or disconnect it.",
        )
    return shared


def _patch_frames(one: OptionalInput, frames: FillFrames) -> tuple[int, ...]:
    plate_holds = len(frames.plate) == 1
    if one.named or len(one.frames) == 1:
        numbers = one.named or (one.frames.first,)
        outside = [n for n in numbers if n not in frames.plate and not plate_holds]
        if outside:
            raise RangeMismatch(
                f"The patch input counts at {frames_in_words(outside)}, where the plate has no "
                f"frame: it has {frames.plate}.",
                hint='Write the frames that it is painted for into "patch frames" on the node.',
            )
        return numbers
    shared = tuple(frame for frame in frames.reach if frame in one.frames)
    if not shared:
        raise RangeMismatch(
            f"The patch input has frames {one.frames}, none near the frames {frames.fill} "
            "that are filled.",
            hint='Move it in time, or write the frames it is painted for into "patch frames".',
        )
    return shared


def _pattern_of(one: OptionalInput, numbers: tuple[int, ...], roots: tuple[str, ...]) -> str:
    """Return the files to pass on, empty when they have to be rendered."""
    footage = one.footage
    if footage is None or not all(number in footage.frame_range for number in numbers):
        return ""
    return footage.path_pattern if is_under(footage.path_pattern, roots) else ""


def _require_in_plate(hero: HeroFrame, plate: FrameRange) -> None:
    if hero.frame not in plate and len(plate) > 1:
        raise RangeMismatch(
            f"The hero frame {hero.frame} of {hero.label} is outside the plate's frames {plate}.",
            hint="Remove it from the hero frames, or bring the plate's range back.",
        )


def _name(role: InputRole) -> str:
    return "motion" if role in _MOTION else role.value
