"""The recipe of a take: everything that made it, as plain JSON values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from genai_fill_contract import codec
from genai_fill_contract.engine import EngineDescription
from genai_fill_contract.fill import FillRequest, OptionValue
from genai_fill_contract.plate import Window
from genai_fill_contract.take import Take

RECIPE_VERSION = 1

_VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"
GENERATED = _VOCABULARY + "compositeWithTrainedAlgorithmicMedia"
"""IPTC: a composite that includes elements made by a trained model."""
RECOMBINED = _VOCABULARY + "compositeCapture"
"""IPTC: a composite of elements that are all captures of real life."""


def digital_source_type(engine: EngineDescription, from_generated: bool = False) -> str:
    """Return the IPTC digital source type of what ``engine`` makes.

    An engine that names a model generates; one without moves pixels that it is given, and
    what was generated stays so when it is moved: ``from_generated``.
    """
    return GENERATED if engine.model or from_generated else RECOMBINED


def says_generated(name: str, value: object) -> bool:
    """Whether a header attribute says that a picture holds anything made by a trained model."""
    if name.rpartition(":")[2].lower() != "digitalsourcetype":
        return False
    return str(value).lower().endswith("trainedalgorithmicmedia")


@dataclass
class TakeRecord:
    """What is learnt about one take while it is made."""

    take: Take
    crops: Mapping[int, Window]
    frames_done: set[int] = field(default_factory=set)
    replaced_pixels: dict[int, int] = field(default_factory=dict)
    frame_seconds: dict[int, float] = field(default_factory=dict)


def build_recipe(
    request: FillRequest,
    engine: EngineDescription,
    options: Mapping[str, OptionValue],
    record: TakeRecord,
    facts: Mapping[str, object],
) -> dict[str, object]:
    """Return the whole recipe of a take, JSON-able whatever ``facts`` hold.

    ``facts`` are what the run adds: state, notes of the engine, colour, versions, timings.
    The request in it is a contract message: posting it again makes the take again.
    """
    take = record.take
    recipe: dict[str, object] = {
        "recipe_version": RECIPE_VERSION,
        "digital_source_type": digital_source_type(engine),
        "job_id": take.job_id,
        "take": {
            "index": take.index,
            "version": take.version,
            "seed": take.seed,
            "path_pattern": take.path_pattern,
            "frames_done": sorted(record.frames_done),
        },
        "request": codec.encode(request),
        "engine": codec.encode(engine),
        "engine_options": dict(options),
        "crops": {str(frame): _corners(window) for frame, window in record.crops.items()},
        "unusable_fill_pixels": {str(f): n for f, n in sorted(record.replaced_pixels.items())},
        "frame_seconds": {str(f): round(s, 4) for f, s in sorted(record.frame_seconds.items())},
    }
    recipe.update({key: plain(value) for key, value in facts.items()})
    return recipe


def plain(value: object) -> object:
    """Return ``value`` as JSON can hold it: numbers that are not finite and strangers as text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Window):
        return _corners(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence | set | frozenset):
        return [plain(item) for item in value]
    return str(value)


def _corners(window: Window) -> list[int]:
    return [window.x0, window.y0, window.x1, window.y1]
