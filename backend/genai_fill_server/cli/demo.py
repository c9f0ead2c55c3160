"""`genai-fill demo`: a shot with known truth, filled through the whole way of a frame."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genai_fill_contract.errors import ConfigError, GenerationFailed
from genai_fill_contract.fill import FillRequest
from genai_fill_contract.job import JobState
from genai_fill_contract.take import Take
from genai_fill_server.domain.installing import install_words

if TYPE_CHECKING:
    from genai_fill_server.demo.run import DemoResult
    from genai_fill_server.http.client import BackendClient


def demo(
    out: Annotated[Path, typer.Option(help="Folder of the shot, the take and the picture.")] = Path(
        "genai_fill_demo"
    ),
) -> None:
    """Render a shot, fill it, measure the result against the truth, draw a picture.

    Needs the extra 'demo'.
    """
    from genai_fill_server.bootstrap.config import load_settings
    from genai_fill_server.cli.connection import any_backend

    run_demo = _demo()
    folder = out.absolute()
    with any_backend(
        load_settings(os.environ), os.environ, private=True, touched=[folder]
    ) as client:
        result = run_demo(folder, submit_through(client), progress=_phases())
    typer.echo(f"take:    {result.take.path_pattern}")
    typer.echo(
        f"quality: {result.quality.psnr_db:.2f} dB under the matte "
        f"(Telea's inpainting: {result.telea_psnr_db:.2f} dB), "
        f"{result.quality.outside_px} pixels changed outside"
    )
    typer.echo(f"picture: {result.contact_sheet}")


def _demo() -> Callable[..., DemoResult]:
    """Return what runs the demo. Raises `ConfigError` where its packages are not installed."""
    try:
        from genai_fill_server.demo.run import run_demo
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package == "genai_fill_server":
            raise  # a fault of ours, which nothing that is installed mends
        raise ConfigError(
            f"The demo needs the package {package!r}, which is not installed.",
            hint=f"Install it {install_words('demo')}.",
        ) from error
    return run_demo


def submit_through(client: BackendClient) -> Callable[[FillRequest], Sequence[Take]]:
    """Return a function that runs a request to its end and returns its takes."""

    def submit(request: FillRequest) -> Sequence[Take]:
        from genai_fill_server.cli.following import follow_to_end, reporter_for

        job = client.submit(request, key=secrets.token_hex(16))
        with reporter_for(job, quiet=False) as reporter:
            job = follow_to_end(client, job, reporter)
        if job.state is JobState.DONE:
            return job.takes
        if job.error is not None:
            raise job.error.to_error()
        raise GenerationFailed(f"The demo's job is {job.state.value}.", hint="Run it again.")

    return submit


def _phases() -> Callable[[str, float], None]:
    """Return a progress function that says each phase once."""
    said: set[str] = set()

    def tell(phase: str, fraction: float) -> None:
        if phase not in said and fraction < 1:
            said.add(phase)
            typer.echo(f"{phase}…", err=True)

    return tell
