"""The three ways to ask for a fill, each with what it says when it fails."""

from __future__ import annotations

import html
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from genai_fill_contract.errors import ErrorReport, GenAIFillError
from genai_fill_contract.fill import CropMode, CropPolicy, FillRequest, OutputPlace
from genai_fill_contract.job import Job
from genai_fill_contract.plate import ColourSettings, FrameRange, MatteRef, PlateRef
from tests.e2e.bad_shots import Ask
from tests.fakes.backend_process import BackendProcess, install_studio_engines, wait_until

CRAMPED = Path(__file__).resolve().parents[1] / "fakes" / "cramped_engines.py"


def install_engines(folder: Path) -> Path:
    """Install the studio's engines and the cramped one."""
    install_studio_engines(folder)
    (folder / CRAMPED.name).write_text(CRAMPED.read_text(encoding="utf-8"), encoding="utf-8")
    info = folder / "cramped_engines-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cramped-engines\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[genai_fill.engines]\ncramped = cramped_engines:create\n"
    )
    return folder


def request_of(ask: Ask) -> FillRequest:
    """Return the request that stands for ``ask``."""
    return FillRequest(
        plate=PlateRef(ask.plate, FrameRange(*ask.plate_range), ask.working_space),
        matte=MatteRef(ask.matte, FrameRange(*ask.matte_range)),
        frame_range=FrameRange(ask.first, ask.last),
        engine_id=ask.engine,
        output=OutputPlace(ask.out, "fill"),
        takes=ask.takes,
        engine_options=dict(ask.options),
        crop=CropPolicy(CropMode(ask.crop)),
        colour=ColourSettings("", ask.working_space),
    )


def run_job(backend: BackendProcess, ask: Ask) -> tuple[Job | None, ErrorReport | None]:
    """Post a fill and wait for all of its end; the error is the refusal's or the job's."""
    client = backend.client()
    try:
        job = client.submit(request_of(ask))
    except GenAIFillError as refusal:
        return None, ErrorReport.of(refusal)
    job = wait_until(lambda: (now := client.job(job.id)).state.is_final and now)
    backend.wait_for_ends()
    return job, job.error


@dataclass(frozen=True)
class Said:
    """What a command said before it ended."""

    code: int
    out: str
    err: str


def run_command(backend: BackendProcess, ask: Ask, *more: str) -> Said:
    """Run `genai-fill fill` in a process of its own."""
    arguments = [
        *("fill", "--plate", ask.plate, "--matte", ask.matte, "--out", ask.out),
        *("--engine", ask.engine, "--range", f"{ask.first}-{ask.last}", "--crop", ask.crop),
        *("--working-space", ask.working_space, "--takes", str(ask.takes)),
        *(word for name, value in ask.options.items() for word in ("--option", f"{name}={value}")),
        *more,
    ]
    done = subprocess.run(
        backend.command(*arguments),
        env=backend.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def words(text: str) -> str:
    """Return a text of a knob or label as it is read: no markup, no escapes, no line ends."""
    return " ".join(html.unescape(text).replace("\\", "").split())


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Set environment variables for a while."""
    kept = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
