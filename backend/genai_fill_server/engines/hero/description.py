"""What a hero-frame engine is, made from the description of its image engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from genai_fill_contract.engine import (
    ColourDomain,
    EngineDescription,
    EngineKind,
    EngineOption,
    OptionType,
)
from genai_fill_contract.fill import OptionValue
from genai_fill_contract.plate import InputRole
from genai_fill_server.engines.cleanplate.description import CleanPlateOptions, Motion

ID_PREFIX = "hero:"
AUTOMATIC = -1
_REACH_FRAMES = 24
_NOT_HERE = frozenset({"takes_at_once"})
"""Options of image engines that mean nothing here: heroes are made for one take at a time."""

_CARRYING = (
    InputRole.PATCH,
    InputRole.MOTION_FORWARD,
    InputRole.MOTION_BACKWARD,
    InputRole.STMAP,
)

_OPTIONS = (
    EngineOption(
        "hero_frame",
        "Hero frame",
        OptionType.INT,
        AUTOMATIC,
        "The frame that is generated first; -1 takes the one on which most is to be filled.",
        minimum=AUTOMATIC,
        maximum=10_000_000,
    ),
    EngineOption(
        "hero_frames",
        "Frames generated",
        OptionType.INT,
        3,
        "At most how many frames are generated: further ones only where the first cannot reach.",
        minimum=1,
        maximum=12,
        unit="frames",
    ),
    EngineOption(
        "hero_real_pixels",
        "Real pixels first",
        OptionType.BOOL,
        True,
        "Where no hero frame reaches, take what other frames really show before generating.",
    ),
    EngineOption(
        "hero_motion",
        "Motion",
        OptionType.CHOICE,
        Motion.DENSE.value,
        "How the background moves. Dense follows parallax; None is for a locked-off camera.",
        choices=(
            (Motion.NONE.value, "None (locked off)"),
            (Motion.AFFINE.value, "Affine"),
            (Motion.HOMOGRAPHY.value, "Homography (one plane)"),
            (Motion.DENSE.value, "Dense (parallax)"),
        ),
        advanced=True,
    ),
    EngineOption(
        "report_layers",
        "Origin layers",
        OptionType.BOOL,
        False,
        "Also write per pixel: frame offset of the hero or frame it is from, invented or not, "
        "confidence.",
        advanced=True,
    ),
)


def describe(image: EngineDescription) -> EngineDescription:
    """Return the description of the engine that makes hero frames with ``image``.

    Model, licence and availability are the image engine's, and so are its options, after
    those of carrying, but for those that mean nothing here. The crop keeps its multiples and
    native size.
    """
    return replace(
        image,
        id=ID_PREFIX + image.id,
        label=f"{image.label} · hero frames",
        kind=EngineKind.SHOT,
        domain=ColourDomain.SCENE_LINEAR,
        help=(
            "Generates one frame and carries it through the shot by the motion of the plate; "
            f"what it cannot reach is generated on a further frame. {image.help}"
        ),
        options=(*_OPTIONS, *(each for each in image.options if each.name not in _NOT_HERE)),
        frame_multiple=1,
        window_frames=1,
        matches_seams=True,
        matches_grain=False,
        inputs=tuple(dict.fromkeys((*_CARRYING, *image.inputs))),
    )


@dataclass(frozen=True)
class HeroOptions:
    """The resolved options of one job: ours, and what is left for the image engine."""

    frame: int
    most_frames: int
    carrying: CleanPlateOptions
    image: Mapping[str, OptionValue]

    @classmethod
    def of(cls, given: Mapping[str, OptionValue]) -> HeroOptions:
        """Take the options of a job apart. ``given`` has every option of the description."""
        own = {option.name: option.check(given[option.name]) for option in _OPTIONS}
        return cls(
            frame=int(own["hero_frame"]),
            most_frames=int(own["hero_frames"]),
            carrying=CleanPlateOptions(
                reach_frames=_REACH_FRAMES if own["hero_real_pixels"] else 0,
                motion=Motion(str(own["hero_motion"])),
                report_layers=bool(own["report_layers"]),
            ),
            image={name: value for name, value in given.items() if name not in own},
        )
