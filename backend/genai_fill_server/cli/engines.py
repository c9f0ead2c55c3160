"""`genai-fill engines`: what can fill here, under which licence, with which options."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from genai_fill_contract import codec
from genai_fill_contract.engine import CommercialUse, EngineDescription, EngineOption
from genai_fill_contract.errors import UnknownEngine
from genai_fill_contract.hello import EngineList

_COMMERCIAL = {
    CommercialUse.YES: "yes",
    CommercialUse.NO: "no",
    CommercialUse.WITH_LICENCE: "with a licence",
}


def engines(
    engine_id: Annotated[str, typer.Argument(help="Show this one with its options.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the engines: available or why not, licence, commercial use."""
    from genai_fill_server.bootstrap.config import load_settings
    from genai_fill_server.bootstrap.engine_listing import list_engines

    settings = load_settings(os.environ).settings
    found = list_engines(settings, os.environ)
    if engine_id:
        found = tuple(engine for engine in found if engine.id == engine_id)
        if not found:
            raise UnknownEngine(
                f"There is no engine {engine_id!r}.", hint="See 'genai-fill engines'."
            )
    if as_json:
        wire = codec.encode(EngineList(found, settings.engine.default))
        typer.echo(json.dumps(wire, ensure_ascii=False, indent=2))
    elif engine_id:
        _show_one(found[0])
    else:
        _show_all(found)


def _show_all(found: Sequence[EngineDescription]) -> None:
    if not sys.stdout.isatty():
        for engine in found:
            state = "available" if engine.available else engine.unavailable_reason
            typer.echo("\t".join((engine.id, engine.kind.value, engine.licence, state)))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("engine", "makes", "licence", "commercial use", "", box=None)
    for engine in found:
        state = "[green]available[/]" if engine.available else _escaped(engine.unavailable_reason)
        table.add_row(
            _escaped(engine.id),
            engine.kind.value,
            _escaped(engine.licence),
            _COMMERCIAL[engine.commercial_use],
            state,
        )
    Console().print(table)


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _show_one(engine: EngineDescription) -> None:
    typer.echo(f"{engine.label} ({engine.id}): {engine.help}")
    if not engine.available:
        typer.echo(f"Not available: {engine.unavailable_reason}")
    typer.echo(
        f"Model: {engine.model or 'none'}   Licence: {engine.licence or 'unnamed'}   "
        f"Commercial use: {_COMMERCIAL[engine.commercial_use]}"
    )
    for option in engine.options:
        typer.echo(f"  --option {option.name}={option.default}{_bounds(option)}")
        typer.echo(f"      {option.help}")


def _bounds(option: EngineOption) -> str:
    if option.choices:
        return "   one of " + ", ".join(value for value, _ in option.choices)
    low = "" if option.minimum is None else f"{option.minimum:g}"
    high = "" if option.maximum is None else f"{option.maximum:g}"
    unit = f" {option.unit}" if option.unit else ""
    return f"   {low} to {high}{unit}" if low or high else unit and f"  {unit}"
