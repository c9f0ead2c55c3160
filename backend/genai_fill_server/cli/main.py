"""The command's entry: parse, run, turn errors into words and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer

from genai_fill_contract.errors import ErrorCode, GenAIFillError
from genai_fill_server.cli import doctor, fill, jobs, serve, show

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_BACKEND = 3
EXIT_CANCELLED = 130

_BACKEND_CODES = frozenset(
    {
        ErrorCode.BACKEND_UNREACHABLE,
        ErrorCode.BACKEND_START_FAILED,
        ErrorCode.BACKEND_TIMEOUT,
        ErrorCode.BACKEND_LOST,
        ErrorCode.WRONG_TOKEN,
        ErrorCode.FORBIDDEN_ORIGIN,
        ErrorCode.VERSION_MISMATCH,
    }
)
_USAGE_CODES = frozenset(
    {ErrorCode.INVALID_REQUEST, ErrorCode.INVALID_OPTION, ErrorCode.CONFIG_INVALID}
)


def build_app() -> typer.Typer:
    """Return the command with all its subcommands."""
    app = typer.Typer(
        name="genai-fill",
        help="Generative fill for Nuke: the backend, and fills from the command line.",
        epilog="Exit codes: 0 done, 1 failed, 2 wrong use or settings, 3 no backend, "
        "130 cancelled.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.command("serve")(serve.serve)
    app.command("fill")(fill.fill)
    app.command("engines")(show.engines)
    app.command("jobs")(jobs.jobs)
    app.command("cancel")(jobs.cancel)
    app.command("doctor")(doctor.doctor)
    app.command("config")(show.config)
    app.command("demo")(show.demo)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit."""
    try:
        code = build_app()(args=arguments, standalone_mode=True)
    except GenAIFillError as error:
        tell(error)
        sys.exit(exit_code_of(error.code))
    except KeyboardInterrupt:
        sys.exit(EXIT_CANCELLED)
    sys.exit(code)


def exit_code_of(code: ErrorCode) -> int:
    """Return the exit code that stands for an error."""
    if code in _BACKEND_CODES:
        return EXIT_BACKEND
    return EXIT_USAGE if code in _USAGE_CODES else EXIT_FAILED


def tell(error: GenAIFillError) -> None:
    """Say on stderr what, where and what to do; one line for logs and other programs."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        typer.echo(f"genai-fill: {error.message} {error.hint}", err=True)
        return
    typer.secho(f"✗ {error.message}", fg="red", err=True)
    typer.echo(f"  {error.hint}", err=True)
