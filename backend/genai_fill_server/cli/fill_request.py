"""Build a fill request from what was typed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from genai_fill_contract.engine import EngineDescription, EngineOption, OptionType
from genai_fill_contract.errors import InvalidOption, InvalidRequest, MissingFrames
from genai_fill_contract.fill import OptionValue
from genai_fill_contract.plate import FrameRange, is_still

_RANGE = re.compile(r"(-?\d+)(?:-(-?\d+))?")
_TOKEN = re.compile(r"%0?\d*d|#+")
_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True)
class Sequence:
    """A sequence on disk: its absolute pattern and the frames that are there."""

    pattern: str
    frames: FrameRange


def parse_range(text: str) -> FrameRange:
    """Return the range of "1001-1010" or "1001". Raises `InvalidRequest`."""
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        raise InvalidRequest(
            f"The frame range {text!r} is not one.", hint="Write it as 1001-1048, or 1001."
        )
    first = int(match[1])
    return FrameRange(first, int(match[2]) if match[2] else first)


def find_sequence(what: str, pattern: str, fallback: FrameRange | None) -> Sequence:
    """Look on disk which frames of ``pattern`` there are.

    One still serves the whole ``fallback`` range. Raises `MissingFrames` when nothing is
    there, `InvalidRequest` for a still without a range.
    """
    absolute = Path(os.path.abspath(pattern)).as_posix()  # noqa: PTH100 - keeps links as typed
    if is_still(absolute):
        if not Path(absolute).exists():
            raise _nothing_there(what, absolute)
        if fallback is None:
            raise InvalidRequest(
                f"{what} {absolute} is one still, so the frame range is unknown.",
                hint="Give it with --range.",
            )
        return Sequence(absolute, fallback)
    frames = _frames_on_disk(absolute)
    if not frames:
        raise _nothing_there(what, absolute)
    return Sequence(absolute, FrameRange(min(frames), max(frames)))


def _frames_on_disk(pattern: str) -> list[int]:
    folder, name = os.path.split(pattern)
    tokens = list(_TOKEN.finditer(name))
    if not tokens:
        raise InvalidRequest(
            f"The frame number of {pattern} stands in a folder's name.",
            hint="Put it into the file's name.",
        )
    token = tokens[-1]
    number = re.compile(
        re.escape(name[: token.start()]) + r"(-?\d+)" + re.escape(name[token.end() :])
    )
    try:
        matches = [number.fullmatch(entry) for entry in os.listdir(folder)]  # noqa: PTH208 - names only
    except OSError:
        return []
    return [int(match[1]) for match in matches if match]


def _nothing_there(what: str, pattern: str) -> MissingFrames:
    return MissingFrames(
        f"{what} {pattern} has no frames on disk.",
        hint="Check the path; the frame number is written %04d or ####.",
        path=pattern,
    )


def parse_options(given: Iterable[str], engine: EngineDescription) -> dict[str, OptionValue]:
    """Return the values of ``name=value`` texts in the types of the engine's options.

    Raises `InvalidOption`.
    """
    pairs: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise InvalidOption(
                f"The option {text!r} has no value.", hint="Write it as --option name=value."
            )
        pairs[name.strip()] = value.strip()
    known: Mapping[str, EngineOption] = {option.name: option for option in engine.options}
    values: dict[str, OptionValue] = {
        name: _typed(known[name], value) if name in known else value
        for name, value in pairs.items()
    }
    engine.resolve(values)
    return values


def _typed(option: EngineOption, text: str) -> OptionValue:
    try:
        if option.type is OptionType.INT:
            return int(text)
        if option.type is OptionType.FLOAT:
            return float(text)
    except ValueError:
        return text  # refused by the option itself, in its own words
    if option.type is OptionType.BOOL and text.lower() in _YES | _NO:
        return text.lower() in _YES
    return text
