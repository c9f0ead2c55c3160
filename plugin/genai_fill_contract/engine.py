"""How an engine describes itself; the panel builds its controls from this alone."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from genai_fill_contract.errors import InvalidOption
from genai_fill_contract.fill import OptionValue
from genai_fill_contract.plate import InputRole


class OptionType(enum.StrEnum):
    """The type of an engine option's value."""

    BOOL = "bool"
    INT = "int"
    FLOAT = "float"
    CHOICE = "choice"
    TEXT = "text"
    FILE = "file"


@dataclass(frozen=True)
class EngineOption:
    """One control of an engine.

    ``minimum``, ``maximum`` and ``step`` are for INT and FLOAT; ``choices`` (value, label)
    for CHOICE; ``unit`` stands behind the number ("px", "frames"). ``advanced`` options are
    folded away in the panel.
    """

    name: str
    label: str
    type: OptionType
    default: OptionValue
    help: str
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    choices: tuple[tuple[str, str], ...] = ()
    unit: str = ""
    advanced: bool = False

    def check(self, value: OptionValue) -> OptionValue:
        """Return ``value`` in this option's type, or raise `InvalidOption`."""
        if self.type is OptionType.BOOL:
            ok = isinstance(value, bool)
        elif self.type is OptionType.INT:
            ok = isinstance(value, int) and not isinstance(value, bool)
        elif self.type is OptionType.FLOAT:
            ok = isinstance(value, int | float) and not isinstance(value, bool)
            value = float(value) if ok else value
        else:
            ok = isinstance(value, str)
        if not ok:
            raise self._error(f"is {value!r}, not a value of type {self.type.value}")
        if isinstance(value, int | float) and not isinstance(value, bool):
            # NaN compares false with every bound, so test for being inside, not outside.
            low = self.minimum if self.minimum is not None else float("-inf")
            high = self.maximum if self.maximum is not None else float("inf")
            if not low <= value <= high:
                raise self._error(f"is {value}, outside {low:g} to {high:g}")
        if self.type is OptionType.CHOICE and value not in [choice for choice, _ in self.choices]:
            raise self._error(f"is {value!r}, not one of {', '.join(c for c, _ in self.choices)}")
        return value

    def _error(self, what: str) -> InvalidOption:
        return InvalidOption(
            f"The option {self.label!r} {what}.",
            hint=f"Its default is {self.default!r}. {self.help}",
            option=self.name,
        )


class EngineKind(enum.StrEnum):
    """What one call of the engine makes."""

    IMAGE = "image"
    """One frame at a time; a range gives frames that do not know each other."""
    VIDEO = "video"
    """Frames that belong together, in temporal windows."""
    SHOT = "shot"
    """Looks at the whole shot for every frame."""


class ColourDomain(enum.StrEnum):
    """Which pixels the engine takes and gives. float32 RGB either way."""

    SCENE_LINEAR = "scene_linear"
    """The script's working space as it is: negatives and highlights included."""
    DISPLAY = "display"
    """sRGB-encoded Rec.709 through the HDR shoulder, 0 to 1."""


class CommercialUse(enum.StrEnum):
    """Whether a studio may ship what the engine makes."""

    YES = "yes"
    NO = "no"
    WITH_LICENCE = "with_licence"


@dataclass(frozen=True)
class EngineDescription:
    """Everything the panel, the queue and a TD need to know of an engine.

    ``id`` is stable ("cleanplate", "diffusers:sdxl-inpaint"). ``available`` is false when
    something is missing, and ``unavailable_reason`` then says what and what to do.
    ``size_multiple_px`` and ``native_size_px`` shape the crop; ``context_px`` is its default
    context. ``frame_multiple`` k means windows of k*n+1 frames. ``matches_seams`` and
    ``matches_grain`` tell that the engine does these steps itself. ``inputs`` are the optional
    inputs that it uses.
    """

    id: str
    label: str
    kind: EngineKind
    domain: ColourDomain
    help: str
    options: tuple[EngineOption, ...] = ()
    needs_prompt: bool = False
    uses_seed: bool = True
    uses_negative_prompt: bool = False
    size_multiple_px: int = 1
    native_size_px: int = 0
    context_px: int = 64
    frame_multiple: int = 1
    window_frames: int = 1
    matches_seams: bool = False
    matches_grain: bool = False
    inputs: tuple[InputRole, ...] = ()
    model: str = ""
    licence: str = ""
    commercial_use: CommercialUse = CommercialUse.YES
    available: bool = True
    unavailable_reason: str = ""

    def resolve(self, given: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
        """Return every option's value, ``given`` over the defaults.

        Raises `InvalidOption` for an unknown name or a bad value.
        """
        known = {option.name: option for option in self.options}
        for name in given:
            if name not in known:
                raise InvalidOption(
                    f"The engine {self.label!r} has no option {name!r}.",
                    hint=f"It has: {', '.join(known) or 'none'}.",
                    option=name,
                    engine=self.id,
                )
        return {name: opt.check(given.get(name, opt.default)) for name, opt in known.items()}
