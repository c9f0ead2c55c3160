"""The node's knobs, read and written: the only place that knows their names and types."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from genai_fill.app.panel_state import FillForm
from genai_fill.app.ports import NodeState
from genai_fill.domain.heroes import HeroList, decode_heroes, encode_heroes
from genai_fill.domain.takes import NO_TAKE, TakeList, decode_takes, encode_takes
from genai_fill.nuke_host.editing import first_word, without_undo
from genai_fill.nuke_host.fill_nodes import UUID_KNOB
from genai_fill.nuke_host.shown import PLATE_SHOWN, is_of, shown_file
from genai_fill_contract.errors import ConfigError, NukeFailed
from genai_fill_contract.fill import OptionValue

# FillForm field -> knob and type. Nuke gives floats from whole numbers and takes nothing but
# its own type from version 17 on, so every value is converted both ways.
_FORM: Mapping[str, tuple[str, type]] = {
    "prompt": ("prompt", str),
    "negative_prompt": ("negative_prompt", str),
    "engine_id": ("engine", str),
    "seed": ("seed", int),
    "seed_locked": ("lock_seed", bool),
    "takes": ("takes", int),
    "range_mode": ("range_mode", str),
    "first": ("first", int),
    "last": ("last", int),
    "grow_px": ("grow_px", float),
    "feather_px": ("feather_px", float),
    "blend_px": ("blend_px", float),
    "crop_mode": ("crop_mode", str),
    "context_px": ("context_px", int),
}
FORM_KNOBS = frozenset(knob for knob, _ in _FORM.values())
_TCL = re.compile(r"\[|\$(?:[A-Za-z0-9_{]|::)")
_ESCAPE = re.compile(r"\\([\]$])")
_OF_WINDOWS = re.compile(r"[A-Za-z]:\\|\\\\")
_SLASHES = (
    "Write it with / and not \\; a bracket or $ that belongs to the name needs a \\ before it."
)


def read_value(node: Any, name: str, default: Any) -> Any:
    """Return a knob's value; ``default`` for a node of a release that had no such knob."""
    knob = node.knob(name)
    if knob is None:
        return default
    value = knob.value()
    return default if value is None else value


def read_form(node: Any) -> FillForm:
    """Return the artist's settings."""
    default = FillForm()
    values: dict[str, Any] = {}
    for field, (knob, kind) in _FORM.items():
        value = kind(read_value(node, knob, getattr(default, field)))
        values[field] = first_word(value) if field in ("range_mode", "crop_mode") else value
    return FillForm(**values, engine_options=read_options(node))


def write_form(node: Any, changes: Mapping[str, object]) -> None:
    """Set fields of `FillForm` on the knobs."""
    for field, value in changes.items():
        if field == "engine_options":
            node["engine_options"].setValue(_options_text(value))
            continue
        knob, kind = _FORM[field]
        node[knob].setValue(kind(value))
        if field == "engine_id":
            show_engine(node)


def read_options(node: Any) -> dict[str, OptionValue]:
    """Return the engine options; what is not a plain value is left out."""
    try:
        options = json.loads(str(read_value(node, "engine_options", "")) or "{}")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(options, dict):
        return {}
    return {
        name: value
        for name, value in options.items()
        if isinstance(value, bool | int | float | str)
    }


def _options_text(options: object) -> str:
    return json.dumps(options, sort_keys=True, allow_nan=False) if options else ""


def read_takes(node: Any) -> TakeList:
    """Return the takes that the node keeps; raises `MalformedMessage`.

    The one that the node shows is on the list: undo brings back the picture of a take that was
    taken off, and what is seen can be chosen.
    """
    takes = decode_takes(str(read_value(node, "take_list", "")))
    file = shown_file(node)
    for known in takes.takes:
        if known.off_list and is_of(file, known):
            return takes.with_listed(known.number)
    return takes


def keep_shown(node: Any) -> None:
    """Have the take that the node shows stay on the list when another one is shown."""
    takes = read_takes(node)
    text = encode_takes(takes)
    if takes != decode_takes(str(read_value(node, "take_list", ""))):
        with without_undo():
            node["take_list"].setValue(text)


def write_takes(node: Any, takes: TakeList) -> None:
    """Keep takes on the node, and offer them in its chooser without changing the choice."""
    node["take_list"].setValue(encode_takes(takes))
    offer_takes(node, takes)


def read_heroes(node: Any) -> HeroList:
    """Return the node's hero frames; raises `MalformedMessage`."""
    return decode_heroes(str(read_value(node, "hero_frames", "")))


def write_heroes(node: Any, heroes: HeroList) -> None:
    """Keep hero frames on the node; raises `NukeFailed` where an old node has no place."""
    knob = node.knob("hero_frames")
    if knob is None:
        raise NukeFailed(
            f"{node.fullName()} was made by an earlier release and keeps no hero frames.",
            hint="Create a new GenAI Fill node and copy the settings over.",
        )
    knob.setValue(encode_heroes(heroes))


def offer_takes(node: Any, takes: TakeList) -> None:
    """Put the takes into the chooser; one that is not there any more gives way to what is shown."""
    knob = node["take"]
    chosen = first_word(str(knob.value() or NO_TAKE))
    labels = list(takes.labels())
    if list(knob.values()) != labels:
        knob.setValues(labels)
    wanted = chosen if chosen in labels else _shown_label(node, takes)
    if knob.value() != wanted:
        knob.setValue(wanted)


def chosen_number(node: Any, takes: TakeList) -> int | None:
    """Return the number of the take that the chooser names, or None."""
    known = takes.by_label(first_word(str(read_value(node, "take", NO_TAKE))))
    return None if known is None else known.number


def shown_number(node: Any, takes: TakeList) -> int | None:
    """Return the number of the take that the node shows, or None for the plate.

    The picture says it, not the chooser, which undo may leave behind. The chooser is asked
    where the picture cannot tell: somebody moved the files, or took out what is inside.
    """
    file = shown_file(node)
    if file == PLATE_SHOWN:
        return None
    known = next((known for known in takes.takes if is_of(file, known)), None)
    return chosen_number(node, takes) if known is None else known.number


def _shown_label(node: Any, takes: TakeList) -> str:
    number = shown_number(node, takes)
    known = None if number is None else takes.get(number)
    return NO_TAKE if known is None or known.off_list else known.label


def offer_engines(node: Any, engine_ids: list[str]) -> None:
    """Put engines into the node's own chooser; the node's engine stays, known or not."""
    current = str(read_value(node, "engine", ""))
    entries = engine_ids if not current or current in engine_ids else [current, *engine_ids]
    knob = node["engine_choice"]
    if entries and list(knob.values()) != entries:
        knob.setValues(entries)
    show_engine(node)


def show_engine(node: Any) -> None:
    """Make the chooser show the node's engine."""
    current = str(read_value(node, "engine", ""))
    knob = node.knob("engine_choice")
    if knob is None or not current:
        return
    if current not in knob.values():
        knob.setValues([current, *knob.values()])
    if knob.value() != current:
        knob.setValue(current)


def read_output_directory(node: Any) -> str:
    r"""Return the output folder, evaluated where it holds TCL; a frame token stays one.

    Elsewhere a backslash may be one of Windows, and a $ the end of a hidden share's name:
    without TCL nothing but ``\]`` and ``\$`` is an escape, and in a path of Windows not even
    these. Fields like ``{script_dir}`` come out as they are, to be filled in afterwards.
    Raises `ConfigError` when it cannot be evaluated, or comes to nothing.
    """
    text = str(read_value(node, "output_directory", "")).strip()
    of_windows = _OF_WINDOWS.match(text) is not None
    if not _TCL.search(text):
        return text if of_windows else _ESCAPE.sub(r"\1", text)
    if of_windows:
        # TCL would read each backslash as an escape, and make it another folder without a word.
        raise _not_evaluated(node, text, "its backslashes are escapes in TCL", _SLASHES)
    knob = node["output_directory"]
    try:
        evaluated = str(knob.getEvaluatedValue() or "").strip()
    except (RuntimeError, ValueError) as error:
        raise _not_evaluated(node, text, str(error)) from error
    if not evaluated:
        raise _not_evaluated(node, text, "it comes to nothing")
    if evaluated == text:
        raise _not_evaluated(node, text, "Nuke left it as it is")
    return evaluated


def _not_evaluated(node: Any, text: str, why: str, hint: str = "") -> ConfigError:
    return ConfigError(
        f"The output directory {text!r} of {node.fullName()} cannot be evaluated: {why}.",
        hint=hint
        or "Correct the TCL in it; a bracket or $ that belongs to the name needs a \\ before it.",
    )


def read_node(node: Any) -> NodeState:
    """Return everything the knobs say."""
    takes = read_takes(node)
    return NodeState(
        uuid=str(node[UUID_KNOB].value()),
        name=node.fullName(),
        form=read_form(node),
        takes=takes,
        chosen=shown_number(node, takes),
        job_id=str(read_value(node, "job_id", "")),
        matte_invert=bool(read_value(node, "matte_invert", False)),
        output_directory=str(read_value(node, "output_directory", "")).strip(),
        output_name=str(read_value(node, "output_name", "")).strip(),
        heroes=read_heroes(node),
    )
