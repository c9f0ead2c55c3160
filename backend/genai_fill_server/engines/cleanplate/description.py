"""What the clean-plate engine is and which controls it has. Imports no heavy library."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from genai_fill_contract.engine import (
    ColourDomain,
    EngineDescription,
    EngineKind,
    EngineOption,
    OptionType,
)
from genai_fill_contract.fill import OptionValue
from genai_fill_contract.plate import InputRole


class Motion(enum.StrEnum):
    """How one frame is taken to another."""

    NONE = "none"
    AFFINE = "affine"
    HOMOGRAPHY = "homography"
    DENSE = "dense"


class Direction(enum.StrEnum):
    """On which side of a frame its sources may lie."""

    BOTH = "both"
    BEFORE = "before"
    AFTER = "after"

    def looks(self, away_frames: int) -> bool:
        """Whether a frame that is ``away_frames`` after another may give pixels to it."""
        if self is Direction.BOTH:
            return away_frames != 0
        return away_frames < 0 if self is Direction.BEFORE else away_frames > 0


class Detail(enum.StrEnum):
    """How much time goes into motion and invented texture."""

    DRAFT = "draft"
    NORMAL = "normal"
    FINE = "fine"


class Where(enum.StrEnum):
    """What computes the pixels."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class FlowKind(enum.StrEnum):
    """What measures dense motion."""

    DIS = "dis"
    RAFT = "raft"


_OPTIONS = (
    EngineOption(
        "reach_frames",
        "Reach",
        OptionType.INT,
        24,
        "How many frames before and after may give pixels. More finds more, and takes longer.",
        minimum=0,
        maximum=240,
        unit="frames",
    ),
    EngineOption(
        "direction",
        "Look",
        OptionType.CHOICE,
        Direction.BOTH.value,
        "Whether sources are taken from before a frame, from after it, or from both sides.",
        choices=(
            (Direction.BOTH.value, "Before and after"),
            (Direction.BEFORE.value, "Before only"),
            (Direction.AFTER.value, "After only"),
        ),
    ),
    EngineOption(
        "motion",
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
    ),
    EngineOption(
        "match_lighting",
        "Match lighting",
        OptionType.BOOL,
        True,
        "Match exposure and white balance of the sources to each frame, also across the hole.",
    ),
    EngineOption(
        "exemplar",
        "Invent what is never seen",
        OptionType.BOOL,
        True,
        "Fill pixels that no frame shows with texture of the plate. Off: a smooth fill.",
    ),
    EngineOption(
        "detail",
        "Detail",
        OptionType.CHOICE,
        Detail.NORMAL.value,
        "Draft is for looking, Fine for strong parallax and large invented areas.",
        choices=(
            (Detail.DRAFT.value, "Draft"),
            (Detail.NORMAL.value, "Normal"),
            (Detail.FINE.value, "Fine"),
        ),
        advanced=True,
    ),
    EngineOption(
        "flow",
        "Flow",
        OptionType.CHOICE,
        FlowKind.DIS.value,
        "What measures dense motion. RAFT needs torch and a model in the model store.",
        choices=((FlowKind.DIS.value, "DIS (no model)"), (FlowKind.RAFT.value, "RAFT (model)")),
        advanced=True,
    ),
    EngineOption(
        "device",
        "Device",
        OptionType.CHOICE,
        Where.AUTO.value,
        "What computes the pixels. Auto takes CUDA where torch and a device are there.",
        choices=(
            (Where.AUTO.value, "Auto"),
            (Where.CPU.value, "CPU"),
            (Where.CUDA.value, "CUDA"),
        ),
        advanced=True,
    ),
    EngineOption(
        "report_layers",
        "Origin layers",
        OptionType.BOOL,
        False,
        "Also write per pixel: frame offset of the source, invented or not, confidence.",
        advanced=True,
    ),
)

DESCRIPTION = EngineDescription(
    id="cleanplate",
    label="Clean plate",
    kind=EngineKind.SHOT,
    domain=ColourDomain.SCENE_LINEAR,
    help=(
        "Takes what other frames show behind the matte and invents only what none shows. "
        "Needs no model and no GPU."
    ),
    options=_OPTIONS,
    needs_prompt=False,
    uses_seed=True,
    context_px=64,
    matches_seams=True,
    matches_grain=True,
    inputs=(
        InputRole.PATCH,
        InputRole.MOTION_FORWARD,
        InputRole.MOTION_BACKWARD,
        InputRole.STMAP,
    ),
    licence="Apache-2.0",
)


@dataclass(frozen=True)
class CleanPlateOptions:
    """The resolved options of one job."""

    reach_frames: int = 24
    direction: Direction = Direction.BOTH
    motion: Motion = Motion.DENSE
    match_lighting: bool = True
    exemplar: bool = True
    detail: Detail = Detail.NORMAL
    report_layers: bool = False
    flow: FlowKind = FlowKind.DIS
    device: Where = Where.AUTO

    @classmethod
    def of(cls, given: Mapping[str, OptionValue]) -> CleanPlateOptions:
        """Check ``given`` against the description. Raises `InvalidOption`."""
        values = DESCRIPTION.resolve(given)
        return cls(
            reach_frames=int(values["reach_frames"]),
            direction=Direction(str(values["direction"])),
            motion=Motion(str(values["motion"])),
            match_lighting=bool(values["match_lighting"]),
            exemplar=bool(values["exemplar"]),
            detail=Detail(str(values["detail"])),
            report_layers=bool(values["report_layers"]),
            flow=FlowKind(str(values["flow"])),
            device=Where(str(values["device"])),
        )
