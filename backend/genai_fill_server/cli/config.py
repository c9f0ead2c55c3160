"""`genai-fill config`: every setting, its value, and where it came from."""

from __future__ import annotations

import json
import os
from typing import Annotated

import typer

from genai_fill_contract.settings import environment_name, setting_keys


def config(
    origin: Annotated[
        bool, typer.Option("--origin", help="Say where each value came from.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print every setting as this machine and user have it."""
    from genai_fill_server.bootstrap.config import config_paths, load_settings

    resolved = load_settings(os.environ)
    values = {}
    for key in setting_keys():
        section, name = key.split(".", maxsplit=1)
        values[key] = getattr(getattr(resolved.settings, section), name)
    if as_json:
        wire = {
            key: {"value": value, "origin": resolved.origins[key].value}
            for key, value in values.items()
        }
        typer.echo(json.dumps(wire, ensure_ascii=False, indent=2))
        return
    if origin:
        studio, user = config_paths(os.environ)
        typer.echo(f"# studio file: {studio or 'none (GENAI_FILL_STUDIO_CONFIG names one)'}")
        typer.echo(f"# user file:   {user}")
    for key, value in values.items():
        line = f"{key} = {_toml(value)}"
        if origin:
            line = f"{line:<56} # {resolved.origins[key].value} ({environment_name(key)})"
        typer.echo(line)


def _toml(value: object) -> str:
    if isinstance(value, tuple):
        value = list(value)
    return json.dumps(value, ensure_ascii=False)
