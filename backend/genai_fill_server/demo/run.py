"""The demo: render a shot, fill it through the whole way of a frame, measure, show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from genai_fill_contract.fill import FillRequest, MatteShaping, OutputPlace
from genai_fill_contract.take import Take
from genai_fill_server.demo.contact_sheet import contact_sheet
from genai_fill_server.demo.measure import DemoFrames, Quality, measure_peer, measure_take
from genai_fill_server.demo.scene import SceneSize
from genai_fill_server.demo.shot import DemoShot, Progress, write_demo_shot
from genai_fill_server.engines.cleanplate.peers import telea

Submit = Callable[[FillRequest], Sequence[Take]]
"""Runs a fill to its end (through a server or in this process) and returns its takes."""


@dataclass(frozen=True)
class DemoResult:
    """What the demo made: the shot, the take, its quality against Telea's, the picture."""

    shot: DemoShot
    take: Take
    quality: Quality
    telea_psnr_db: float
    contact_sheet: Path


def demo_request(shot: DemoShot, output_folder: Path, engine_id: str = "cleanplate") -> FillRequest:
    """Return the fill request that an artist's node would send for the demo shot."""
    return FillRequest(
        plate=shot.plate,
        matte=shot.matte,
        frame_range=shot.frames,
        engine_id=engine_id,
        output=OutputPlace(output_folder.as_posix(), "demo_fill"),
        shaping=MatteShaping(grow_px=2.0, feather_px=4.0, blend_px=4.0),
        colour=shot.colour,
    )


def run_demo(
    folder: Path,
    submit: Submit,
    size: SceneSize | None = None,
    progress: Progress | None = None,
    engine_id: str = "cleanplate",
) -> DemoResult:
    """Run the demo below ``folder`` (made if it is not there) and return what came of it.

    Raises whatever ``submit`` raises; the rendered shot then stays for another try.
    """
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    tell = progress if progress is not None else _nobody
    shot = write_demo_shot(folder, size, tell)
    output = folder / "takes"
    output.mkdir(exist_ok=True)
    tell("fill", 0.0)
    take = submit(demo_request(shot, output, engine_id))[0]
    tell("fill", 1.0)
    frames = DemoFrames(shot)
    quality = measure_take(frames, take.path_pattern)
    tell("measure", 0.4)
    baseline = measure_peer(frames, telea)
    tell("measure", 0.8)
    sheet = folder / "contact_sheet.png"
    sheet.write_bytes(contact_sheet(frames, take.path_pattern, shown_frames(shot)))
    tell("measure", 1.0)
    return DemoResult(shot, take, quality, baseline, sheet)


def shown_frames(shot: DemoShot) -> tuple[int, ...]:
    """Return the frames of the contact sheet: three through the shot."""
    first, last = shot.frames.first, shot.frames.last
    return tuple(sorted({first + round((last - first) * share) for share in (0.15, 0.5, 0.85)}))


def _nobody(phase: str, share: float) -> None:
    """Take progress when nobody listens."""
    del phase, share
