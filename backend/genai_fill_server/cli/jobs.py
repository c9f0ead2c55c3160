"""`genai-fill jobs` and `genai-fill cancel`: the queue of the backend that runs."""

from __future__ import annotations

import json
import os
import time
from typing import Annotated

import typer

from genai_fill_contract import codec
from genai_fill_contract.hello import JobList
from genai_fill_contract.job import Job


def jobs(
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1, max=1000)] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the jobs of the backend that runs."""
    from genai_fill_server.bootstrap.config import load_settings
    from genai_fill_server.cli.connection import running_backend

    with running_backend(load_settings(os.environ).settings, os.environ) as client:
        found = client.jobs(limit)
    if as_json:
        typer.echo(json.dumps(codec.encode(JobList(found)), ensure_ascii=False, indent=2))
        return
    for job in found:
        typer.echo(_line(job))


def cancel(job_id: Annotated[str, typer.Argument(help="The job's id.")]) -> None:
    """Cancel a job of the backend that runs; finished frames stay."""
    from genai_fill_server.bootstrap.config import load_settings
    from genai_fill_server.cli.connection import running_backend

    with running_backend(load_settings(os.environ).settings, os.environ) as client:
        job = client.cancel(job_id)
    typer.echo(f"{job.id} {job.state.value}")


def _line(job: Job) -> str:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(job.created_s))
    done = sum(len(take.frames_done) for take in job.takes)
    wanted = len(job.takes) * len(job.request.frame_range)
    # Of a job that is over, there is nothing to see where no frame was made.
    there = [take for take in job.takes if take.frames_done or not job.state.is_final]
    where = there[0].path_pattern if there else ""
    why = f"  {job.error.message}" if job.error else ""
    return (
        f"{job.id}  {when}  {job.state.value:<10} {done:>4}/{wanted:<4} "
        f"{job.request.engine_id}  {where}{why}"
    )
