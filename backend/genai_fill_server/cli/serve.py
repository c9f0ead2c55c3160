"""`genai-fill serve`: the backend."""

from __future__ import annotations

import dataclasses
import os
from typing import Annotated

import typer


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.")] = None,
    state_dir: Annotated[
        str | None, typer.Option(help="Folder of the job database, the token and the logs.")
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Log at DEBUG level, prompts and paths included.")
    ] = False,
    audit_log: Annotated[str, typer.Option(hidden=True)] = "",
    until_stdin_closes: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Run the backend until Ctrl-C.

    It listens on loopback, runs fills in worker processes, and keeps its queue
    through restarts. Nuke and the other commands find it by its state folder.
    """
    from genai_fill_contract.settings import Origin

    _keep_tracing_off()
    from genai_fill_server.bootstrap.config import load_settings
    from genai_fill_server.bootstrap.server import ServeOptions, run_server

    resolved = load_settings(os.environ)
    settings = resolved.settings
    any_port = port is None and resolved.origins["server.port"] is Origin.DEFAULT
    if host is not None:
        settings = dataclasses.replace(
            settings, server=dataclasses.replace(settings.server, host=host)
        )
    if port is not None:
        settings = dataclasses.replace(
            settings, server=dataclasses.replace(settings.server, port=port)
        )
    if state_dir is not None:
        settings = dataclasses.replace(
            settings, backend=dataclasses.replace(settings.backend, state_dir=state_dir)
        )
    run_server(
        settings,
        os.environ,
        ServeOptions(
            announce=lambda url: typer.echo(f"GenAI Fill listens at {url}"),
            any_port=any_port,
            audit_path=audit_log,
            until_stdin_closes=until_stdin_closes,
            verbose=verbose,
        ),
    )


def _keep_tracing_off() -> None:
    """Silence the web framework's tracing interface, whatever exporter somebody has added."""
    os.environ["OTEL_SDK_DISABLED"] = "true"
