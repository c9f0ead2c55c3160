"""Requests, jobs and fakes with behaviour for the job verbs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from genai_fill_contract.engine import (
    ColourDomain,
    CommercialUse,
    EngineDescription,
    EngineKind,
    EngineOption,
    OptionType,
)
from genai_fill_contract.errors import DiskFull
from genai_fill_contract.fill import FillRequest, OutputPlace
from genai_fill_contract.plate import FrameRange, MatteRef, PlateRef, path_at
from genai_fill_contract.take import Take

PAINT = EngineDescription(
    id="paint",
    label="Paint",
    kind=EngineKind.IMAGE,
    domain=ColourDomain.SCENE_LINEAR,
    help="One colour.",
    options=(
        EngineOption("reference", "Reference", OptionType.FILE, "", "A picture."),
        EngineOption("strength", "Strength", OptionType.FLOAT, 0.5, "How much.", 0, 1),
    ),
    model="paint-1",
    licence="Apache-2.0",
)
WORDY = dataclasses.replace(PAINT, id="wordy", label="Wordy", needs_prompt=True)
NON_COMMERCIAL = dataclasses.replace(
    PAINT, id="nc", label="NC", licence="CC-BY-NC-4.0", commercial_use=CommercialUse.NO
)


def request_in(folder: Path, **changes) -> FillRequest:
    frames = FrameRange(1001, 1004)
    request = FillRequest(
        plate=PlateRef(f"{folder}/plate.%04d.exr", frames),
        matte=MatteRef(f"{folder}/matte.%04d.exr", frames),
        frame_range=frames,
        engine_id="paint",
        output=OutputPlace(f"{folder}/takes", "fill"),
    )
    return dataclasses.replace(request, **changes)


def takes_in(folder: Path, job_id: str, count: int = 1) -> tuple[Take, ...]:
    """Takes whose folders are there."""
    made = []
    for index in range(count):
        place = folder / "takes" / f"fill_v{index + 1:03d}"
        place.mkdir(parents=True)
        pattern = f"{place}/fill_v{index + 1:03d}.%04d.exr"
        frames = FrameRange(1001, 1004)
        made.append(Take(job_id, index, index + 1, index, pattern, f"{place}/r.json", frames))
    return tuple(made)


def write_frames(take: Take, *frames: int) -> None:
    for frame in frames:
        Path(path_at(take.path_pattern, frame)).write_bytes(b"frame")


class FixedEngines:
    def __init__(self, *engines: EngineDescription) -> None:
        self.listed = engines or (PAINT, WORDY)

    def engines(self) -> tuple[EngineDescription, ...]:
        return self.listed


class ListAudit:
    """Keeps its entries; `full` makes the disk full."""

    def __init__(self) -> None:
        self.entries = []
        self.full = False

    def append(self, entry) -> None:
        if self.full:
            raise DiskFull("The disk of the audit log is full.", hint="Free some room.")
        self.entries.append(entry)


class IdleWorkers:
    """Runs nothing, remembers what it was told."""

    def __init__(self) -> None:
        self.woken = 0
        self.cancelled = []

    def wake(self) -> None:
        self.woken += 1

    def cancel(self, job_id: str) -> None:
        self.cancelled.append(job_id)


class Clock:
    """Moves one second each time it is looked at."""

    def __init__(self, now_s: float = 1000.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        self.now_s += 1
        return self.now_s
