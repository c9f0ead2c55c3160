"""What the artist asks: the fill request and its parts."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from genai_fill_contract.errors import InvalidRequest
from genai_fill_contract.plate import ColourSettings, FrameRange, InputRef, MatteRef, PlateRef

OptionValue = bool | int | float | str

MAX_TAKES = 16
# Nuke keeps whole numbers in 32 bits with a sign.
MAX_SEED = 2**31 - 1


def _require(condition: bool, message: str, hint: str) -> None:
    if not condition:
        raise InvalidRequest(message, hint=hint)


@dataclass(frozen=True)
class MatteShaping:
    """Three separate controls, in real pixels of the plate.

    A pixel in which the object shows (matte above about 0.02) is replaced whole; soft edges
    lie outside the matte.

    ``grow_px`` dilates (or, negative, erodes) the matte: a Euclidean distance.
    ``feather_px`` is the width of the soft edge given to the engine, outside the grown
    matte, at least the blend's. ``blend_px`` is the width of the soft edge of the composite,
    outside the grown matte; beyond ``grow_px + blend_px`` the plate is untouched, bit for bit.
    """

    grow_px: float = 4.0
    feather_px: float = 8.0
    blend_px: float = 8.0

    def __post_init__(self) -> None:
        _require(
            -256 <= self.grow_px <= 256,
            f"Matte grow is {self.grow_px} px.",
            "Use a value from -256 to 256.",
        )
        for name in ("feather_px", "blend_px"):
            value = getattr(self, name)
            _require(
                0 <= value <= 512, f"Matte {name} is {value} px.", "Use a value from 0 to 512."
            )


class CropMode(enum.StrEnum):
    """How the crop follows the matte over the range; its size never changes in a shot."""

    FIXED = "fixed"
    FOLLOW = "follow"
    FULL = "full"


@dataclass(frozen=True)
class CropPolicy:
    """Which region of the plate goes to the engine.

    ``context_px`` pixels of plate round the matte on each side; -1 lets the engine choose.
    """

    mode: CropMode = CropMode.FIXED
    context_px: int = -1

    def __post_init__(self) -> None:
        _require(
            -1 <= self.context_px <= 4096,
            f"Crop context is {self.context_px} px.",
            "Use 0 to 4096 pixels, or -1 for the engine's own choice.",
        )


@dataclass(frozen=True)
class OutputPlace:
    """Where takes go: ``<directory>/<name>_v001/<name>_v001.%04d.exr``.

    ``directory`` is absolute, with forward slashes. The backend picks the next free version
    by making its folder, so two artists never share one; nothing is overwritten.
    """

    directory: str
    name: str

    def __post_init__(self) -> None:
        bad = set(self.name) & set('/\\%#:*?"<>|[]$\0\n\r') or self.name in ("", ".", "..")
        _require(
            not bad,
            f"The output name {self.name!r} cannot be part of a file name.",
            "Use letters, digits, dots, dashes and underscores.",
        )


@dataclass(frozen=True)
class Provenance:
    """Who asked, from where: written to the recipe and the audit log."""

    user: str = ""
    show: str = ""
    shot: str = ""
    script: str = ""
    node: str = ""
    host: str = ""


@dataclass(frozen=True)
class FillRequest:
    """Everything about one fill, in one message. Nothing that matters is outside it.

    ``frame_range`` is what is generated; plate frames outside it are source material.
    Take ``i`` uses ``seed + i``. ``engine_options`` holds only what differs from the
    engine's own defaults; the backend checks it against the engine's description.
    ``inputs`` are the node's optional inputs; an engine ignores those it does not name.
    """

    plate: PlateRef
    matte: MatteRef
    frame_range: FrameRange
    engine_id: str
    output: OutputPlace
    prompt: str = ""
    negative_prompt: str = ""
    seed: int = 0
    takes: int = 1
    engine_options: Mapping[str, OptionValue] = field(default_factory=dict)
    shaping: MatteShaping = MatteShaping()
    crop: CropPolicy = CropPolicy()
    colour: ColourSettings = field(default_factory=ColourSettings)
    provenance: Provenance = Provenance()
    inputs: tuple[InputRef, ...] = ()

    def __post_init__(self) -> None:
        _require(
            1 <= self.takes <= MAX_TAKES,
            f"{self.takes} takes were asked for.",
            f"Ask for 1 to {MAX_TAKES} takes.",
        )
        _require(
            0 <= self.seed <= MAX_SEED - MAX_TAKES,
            f"The seed {self.seed} is out of range.",
            f"Use a seed from 0 to {MAX_SEED - MAX_TAKES}.",
        )
