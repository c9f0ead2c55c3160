"""The command's entry: parse, run, turn errors into words and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from genai_fill_contract.errors import GenAIFillError, OutputNotWritable
from genai_fill_server.cli import config, demo, doctor, engines, fill, jobs, models, serve, stop
from genai_fill_server.cli.exit_codes import EXIT_CANCELLED, EXIT_FAILED, exit_code_of, tell


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
    app.command("stop")(stop.stop)
    app.command("fill")(fill.fill)
    app.command("engines")(engines.engines)
    app.command("jobs")(jobs.jobs)
    app.command("cancel")(jobs.cancel)
    app.command("doctor")(doctor.doctor)
    app.command("config")(config.config)
    app.command("demo")(demo.demo)
    app.add_typer(models.build_models_app(), name="models")
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit; never shows a traceback for an error of ours."""
    try:
        build_app()(args=arguments)
    except GenAIFillError as error:
        tell(error)
        sys.exit(exit_code_of(error.code))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        tell(
            OutputNotWritable(
                f"{where}{error.strerror or error}.",
                hint="Look at the permissions and the room on its disk.",
            )
        )
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(EXIT_CANCELLED)
