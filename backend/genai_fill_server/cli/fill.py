"""`genai-fill fill`: a fill without Nuke, for farms and tests."""

from __future__ import annotations

import dataclasses
import getpass
import json
import os
import platform
import secrets
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from genai_fill_contract import codec
from genai_fill_contract.engine import EngineDescription
from genai_fill_contract.errors import UnknownEngine
from genai_fill_contract.fill import (
    CropMode,
    CropPolicy,
    FillRequest,
    MatteShaping,
    OutputPlace,
    Provenance,
)
from genai_fill_contract.job import Job, JobState
from genai_fill_contract.plate import ColourSettings, MatteRef, PlateRef
from genai_fill_server.cli import fill_options as opt
from genai_fill_server.cli.exit_codes import EXIT_CANCELLED, EXIT_FAILED, tell
from genai_fill_server.cli.fill_request import find_sequence, parse_options, parse_range


@dataclass(frozen=True)
class FillArguments:
    """What was typed, option by option; see `fill_options`."""

    plate: str
    matte: str
    out: str
    name: str
    frames: str
    prompt: str
    negative: str
    engine: str
    option: Sequence[str]
    seed: int
    takes: int
    grow: float
    feather: float
    blend: float
    context: int
    crop: CropMode
    matte_channel: str
    matte_invert: bool
    ocio: str
    working_space: str
    plate_colorspace: str
    layer: str
    show: str
    shot: str
    private: bool
    as_json: bool


def fill(
    plate: opt.Plate,
    matte: opt.Matte,
    out: opt.Out = "genai_fill",
    name: opt.Name = "fill",
    frames: opt.Range = "",
    prompt: opt.Prompt = "",
    negative: opt.Negative = "",
    engine: opt.Engine = "",
    option: opt.EngineOptions = [],  # noqa: B006 - typer reads the default, nothing changes it
    seed: opt.Seed = 0,
    takes: opt.Takes = 1,
    grow: opt.Grow = MatteShaping.grow_px,
    feather: opt.Feather = MatteShaping.feather_px,
    blend: opt.Blend = MatteShaping.blend_px,
    context: opt.Context = CropPolicy.context_px,
    crop: opt.Crop = CropMode.FIXED,
    matte_channel: opt.MatteChannel = MatteRef.channel,
    matte_invert: opt.MatteInvert = False,
    ocio: opt.Ocio = "",
    working_space: opt.WorkingSpace = ColourSettings.working_space,
    plate_colorspace: opt.PlateColorspace = "",
    layer: opt.Layer = PlateRef.layer,
    show: opt.Show = "",
    shot: opt.Shot = "",
    private: opt.Private = False,
    as_json: opt.Json = False,
) -> None:
    """Fill frames on disk and wait for the takes.

    Uses the backend that runs, or starts one for the time of the command.
    Ctrl-C cancels the job; finished frames stay. Prints where the takes are.
    """
    run_fill_command(FillArguments(**locals()))


def run_fill_command(given: FillArguments) -> None:
    """Run the command with the values of its options."""
    from genai_fill_server.bootstrap.config import load_settings
    from genai_fill_server.cli.connection import any_backend
    from genai_fill_server.cli.following import follow_to_end, reporter_for

    resolved = load_settings(os.environ)
    request = build_request(given, resolved.settings.engine.default)
    # A farm stops a task with SIGTERM: the job is cancelled as by Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with any_backend(
        resolved, os.environ, private=given.private, touched=folders_of(request)
    ) as client:
        engine = _engine(client.engines().engines, request.engine_id)
        options = parse_options(given.option, engine)
        ready = dataclasses.replace(request, engine_options=options)
        job = client.submit(ready, key=secrets.token_hex(16))
        with reporter_for(job, quiet=given.as_json) as reporter:
            job = follow_to_end(client, job, reporter)
        report(job, as_json=given.as_json)


def build_request(given: FillArguments, default_engine: str) -> FillRequest:
    """Return the request of the given options, its engine options still empty.

    Raises `InputError` for what can be seen to be wrong before a backend is asked.
    """
    wanted = parse_range(given.frames) if given.frames else None
    plate = find_sequence("The plate", given.plate, wanted)
    frame_range = wanted or plate.frames
    matte = find_sequence("The matte", given.matte, frame_range)
    out = Path(os.path.abspath(given.out)).as_posix()  # noqa: PTH100 - keeps links as typed
    ocio = given.ocio or os.environ.get("OCIO", "")
    if ocio and "://" not in ocio:
        ocio = Path(os.path.abspath(ocio)).as_posix()  # noqa: PTH100 - keeps links as typed
    working_space = given.working_space
    return FillRequest(
        plate=PlateRef(
            plate.pattern,
            plate.frames,
            given.plate_colorspace or working_space,
            given.layer,
        ),
        matte=MatteRef(matte.pattern, matte.frames, given.matte_channel, given.matte_invert),
        frame_range=frame_range,
        engine_id=given.engine or default_engine,
        output=OutputPlace(out, given.name),
        prompt=given.prompt,
        negative_prompt=given.negative,
        seed=given.seed,
        takes=given.takes,
        shaping=MatteShaping(given.grow, given.feather, given.blend),
        crop=CropPolicy(given.crop, given.context),
        colour=ColourSettings(ocio, working_space),
        provenance=_provenance(given.show, given.shot),
    )


def folders_of(request: FillRequest) -> list[Path]:
    """Return the folders that a request reads from and writes to."""
    config = request.colour.ocio_config
    return [
        Path(request.plate.path_pattern).parent,
        Path(request.matte.path_pattern).parent,
        Path(request.output.directory),
        *([Path(config).parent] if config and "://" not in config else []),
    ]


def report(job: Job, *, as_json: bool) -> None:
    """Say what became of the job and leave with its exit code."""
    if as_json:
        typer.echo(json.dumps(codec.encode(job), ensure_ascii=False, indent=2))
    else:
        # The folder of a take without a frame is gone again, or holds its recipe alone.
        made = [take for take in job.takes if take.frames_done]
        for take in made:
            done, wanted = len(take.frames_done), len(take.frame_range)
            typer.echo(
                f"take {take.index + 1} v{take.version:03d} seed {take.seed}: "
                f"{done} of {wanted} frames in {take.path_pattern}"
            )
        if not made:
            typer.echo("no frame was made", err=True)
    if job.state is JobState.CANCELLED:
        raise typer.Exit(EXIT_CANCELLED)
    if job.state is not JobState.DONE:
        if job.error is not None:
            tell(job.error.to_error())
        raise typer.Exit(EXIT_FAILED)


def _engine(engines: tuple[EngineDescription, ...], engine_id: str) -> EngineDescription:
    for engine in engines:
        if engine.id == engine_id:
            return engine
    raise UnknownEngine(
        f"There is no engine {engine_id!r}.",
        hint=f"Installed: {', '.join(engine.id for engine in engines) or 'none'}.",
    )


def _provenance(show: str, shot: str) -> Provenance:
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        user = ""
    return Provenance(user=user, show=show, shot=shot, host=platform.node())
