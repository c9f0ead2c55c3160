"""`genai-fill models`: fetch, add, check and remove models, and what their licences allow."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genai_fill_contract.errors import InvalidRequest
from genai_fill_server.cli.byte_progress import byte_progress

if TYPE_CHECKING:
    from genai_fill_contract.settings import Settings
    from genai_fill_server.models.entries import Offer
    from genai_fill_server.models.verify import Verdict

_COMMERCIAL = {"yes": "yes", "no": "no", "with_licence": "with a licence"}
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Draw no progress.")]
ModelId = Annotated[str, typer.Argument(help="The model's id, as 'models list' shows it.")]


def build_models_app() -> typer.Typer:
    """Return the sub-command."""
    app = typer.Typer(help="Fetch, add, check and remove models.", no_args_is_help=True)
    app.command("list")(list_models)
    app.command("pull")(pull)
    app.command("add")(add)
    app.command("verify")(verify)
    app.command("remove")(remove)
    app.command("licences")(licences)
    return app


def list_models(as_json: Json = False) -> None:
    """List the models that are installed, and those that could be pulled."""
    from genai_fill_server.bootstrap.model_folders import known_offers
    from genai_fill_server.bootstrap.model_store import open_store
    from genai_fill_server.models.listing import installed_row, offer_row

    store = open_store(_settings(), os.environ)
    installed = [installed_row(model) for model in store.models()]
    there = {row["id"] for row in installed}
    available = [offer_row(offer) for offer in known_offers() if offer.id not in there]
    interrupted, left_over_bytes = list(store.partials()), store.left_over_bytes()
    if as_json:
        _print_json(
            {
                "dirs": [str(folder) for folder in store.dirs],
                "installed": installed,
                "interrupted": interrupted,
                "left_over_bytes": left_over_bytes,
                "available": available,
            }
        )
        return
    _table(
        f"Installed (in {', '.join(str(folder) for folder in store.dirs)})",
        ("id", "state", "size", "licence", "commercial use", ""),
        [
            (
                row["id"],
                row["state"],
                f"{row['size_bytes'] / 1e9:.1f} GB",
                row["licence"],
                _COMMERCIAL[row["commercial_use"]],
                row["reason"],
            )
            for row in installed
        ],
    )
    _say_unfinished(interrupted, left_over_bytes)
    by_hand = [row for row in available if row["by_hand"]]
    _table(
        "Could be pulled",
        ("id", "state", "makes", "disk", "VRAM", "licence", "commercial use", "good for"),
        [_offer_line(row) for row in available if not row["by_hand"]],
    )
    for row in by_hand:
        typer.echo(f"by hand: {row['id']} ({row['licence']}). {row['by_hand']}")


def _say_unfinished(interrupted: Sequence[str], left_over_bytes: int) -> None:
    for model_id in interrupted:
        typer.echo(
            f"interrupted: {model_id} (begin again with the same command, or give it up with "
            f"'genai-fill models remove {model_id}')"
        )
    if left_over_bytes:
        typer.echo(
            f"left over: {left_over_bytes / 1e9:.1f} GB of removals that were cut short; the next "
            "add, pull or remove deletes it"
        )


def pull(
    model_id: ModelId,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Agree to the model's licence.")
    ] = False,
    revision: Annotated[
        str, typer.Option(help="A commit, tag or branch instead of the catalogue's.")
    ] = "",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fetch a model of the catalogue. The only command that uses the network."""
    from genai_fill_server.bootstrap.model_folders import known_offers
    from genai_fill_server.bootstrap.model_store import puller
    from genai_fill_server.models.catalogue import find_offer

    offer = find_offer(known_offers(), model_id)
    pulling = puller(_settings(), os.environ)
    pulling.check_policy(offer)
    typer.echo(_licence_words(offer), err=True)
    accepted = accept_licence or (not offer.is_permissive and _agrees())
    with byte_progress(quiet=quiet) as progress:
        path = pulling.pull(offer, accepted=accepted, progress=progress, revision=revision)
    _say_installed(offer.id, path, as_json=as_json)


def add(
    folder: Annotated[Path, typer.Argument(help="A folder in diffusers layout.")],
    model_id: Annotated[
        str, typer.Option("--id", help="Its id in the store. Default: the folder's name.")
    ] = "",
    link: Annotated[
        bool, typer.Option("--link", help="Make hard links (same disk) instead of copies.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check a local model folder and take it into the store."""
    from genai_fill_server.bootstrap.model_store import adder

    adding = adder(_settings(), os.environ)
    with byte_progress(quiet=quiet) as progress:
        path = adding.add(folder, progress=progress, model_id=model_id, link=link)
    _say_installed(path.name, path, as_json=as_json)


def verify(
    model_id: Annotated[str, typer.Argument(help="Only this model. Default: all.")] = "",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Hash the models again and compare with what was recorded. Exit code 1 on a problem."""
    from genai_fill_server.bootstrap.model_store import open_store
    from genai_fill_server.cli.exit_codes import EXIT_FAILED
    from genai_fill_server.models.verify import verify_model

    store = open_store(_settings(), os.environ)
    models = [store.find(model_id)] if model_id else list(store.models())
    with byte_progress(quiet=quiet) as progress:
        verdicts = [verify_model(model, progress) for model in models]
    if as_json:
        _print_json({"models": [_verdict_row(verdict) for verdict in verdicts]})
    else:
        for verdict in verdicts:
            _say_verdict(verdict)
        if not verdicts:
            typer.echo("No model is installed.")
    failed = [v for v in verdicts if not v.is_good or (model_id and v.unrecorded)]
    if failed:
        raise typer.Exit(EXIT_FAILED)


def remove(
    model_id: ModelId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Remove a model from the store, or what an interrupted pull left of one."""
    from genai_fill_server.bootstrap.model_store import open_store

    store = open_store(_settings(), os.environ)
    store.sweep()
    if model_id in list(store.partials()) and model_id not in [m.id for m in store.models()]:
        _confirm(f"Give up the interrupted {model_id}?", yes=yes)
        store.discard(model_id)
        path = None
    else:
        model = store.find(model_id)
        _confirm(f"Remove {model.path} ({model.size_bytes / 1e9:.1f} GB)?", yes=yes)
        store.remove(model)
        path = str(model.path)
    if as_json:
        _print_json({"id": model_id, "removed": path})
    else:
        typer.echo(f"{model_id} is removed.")


def licences(as_json: Json = False) -> None:
    """Show the licence of every model, whether it allows commercial use, and where it stands."""
    from genai_fill_server.bootstrap.model_folders import known_offers
    from genai_fill_server.bootstrap.model_store import open_store
    from genai_fill_server.models.listing import licence_rows

    rows = licence_rows(open_store(_settings(), os.environ).models(), known_offers())
    if as_json:
        _print_json({"models": rows})
        return
    _table(
        "Licences",
        ("id", "installed", "licence", "commercial use", "source", ""),
        [
            (
                row["id"],
                "yes" if row["installed"] else "no",
                row["licence"],
                _COMMERCIAL[row["commercial_use"]],
                row["source"],
                row["note"],
            )
            for row in rows
        ],
    )


def _settings() -> Settings:
    from genai_fill_server.bootstrap.config import load_settings

    return load_settings(os.environ).settings


def _offer_line(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        row["id"],
        "not installed",
        row["kind"],
        f"{row['disk_gb']:g} GB" if row["disk_gb"] else "?",
        f"{row['vram_gb']:g} GB" if row["vram_gb"] else "?",
        row["licence"],
        _COMMERCIAL[row["commercial_use"]],
        row["good_for"],
    )


def _licence_words(offer: Offer) -> str:
    from genai_fill_server.models.pull import source_of

    lines = [
        f"{offer.label}: {offer.licence}, commercial use: {_COMMERCIAL[offer.commercial_use]}.",
        offer.licence_note,
        f"Model card and licence: {source_of(offer)}",
    ]
    if offer.unverified:
        lines.append(f"Not verified against the card: {', '.join(offer.in_doubt)}.")
    return "\n".join(line for line in lines if line)


def _agrees() -> bool:
    return sys.stdin.isatty() and typer.confirm("Do you agree to this licence?", err=True)


def _confirm(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidRequest(
            f"{question} Nobody is there to be asked.", hint="Pass --yes to do it."
        )
    typer.confirm(question, abort=True)


def _say_installed(model_id: str, path: Path, *, as_json: bool) -> None:
    if as_json:
        _print_json({"id": model_id, "path": str(path)})
    else:
        typer.echo(f"{model_id} is installed: {path}")


def _verdict_row(verdict: Verdict) -> dict[str, Any]:
    return {
        "id": verdict.id,
        "good": verdict.is_good,
        "recorded": not verdict.unrecorded,
        "wrong": list(verdict.wrong),
        "missing": list(verdict.missing),
        "extra": list(verdict.extra),
        "problem": verdict.problem,
    }


def _say_verdict(verdict: Verdict) -> None:
    if verdict.is_good:
        words = "no hashes were recorded" if verdict.unrecorded else "good"
        typer.echo(f"{verdict.id}: {words}")
        return
    for what in ("wrong", "missing", "extra"):
        for name in getattr(verdict, what):
            typer.echo(_plain(f"{verdict.id}: {what}: {name}"))
    if verdict.problem:
        typer.echo(_plain(f"{verdict.id}: {verdict.problem}"))


def _plain(text: str) -> str:
    """Return ``text`` without what steers a terminal: file names may hold anything."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def _print_json(wire: Mapping[str, Any]) -> None:
    typer.echo(json.dumps(wire, indent=2))


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table to a terminal, lines with tabs to anything else."""
    if not sys.stdout.isatty():
        for row in rows:
            typer.echo("\t".join(_plain(cell) for cell in row))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(*heads, title=escape(title), title_justify="left", box=None)
    for row in rows:
        table.add_row(*(escape(_plain(cell)) for cell in row))
    Console().print(table if rows else escape(f"{title}: none"))
