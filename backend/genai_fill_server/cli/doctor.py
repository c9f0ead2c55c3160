"""`genai-fill doctor`: is everything there, and what to do about what is not."""

from __future__ import annotations

import json
import os
from typing import Annotated

import typer

from genai_fill_contract.errors import GenAIFillError
from genai_fill_server.cli.exit_codes import EXIT_FAILED
from genai_fill_server.cli.finding import Check, Finding, Level, fail
from genai_fill_server.domain.installing import install_words

_MARKS = {Level.OK: ("ok  ", "green"), Level.WARN: ("warn", "yellow"), Level.FAIL: ("FAIL", "red")}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check this machine: packages, colour, EXR, state folder, backend, engines, disk."""
    from genai_fill_server.bootstrap.config import load_settings
    from genai_fill_server.cli.checks import all_checks

    resolved = load_settings(os.environ)
    findings: list[Finding] = []
    for check in all_checks(resolved, os.environ):
        found = _run(check)
        findings.extend(found)
        if not as_json:
            for finding in found:
                _show(finding)
    if as_json:
        wire = [{"level": f.level.value, "what": f.what, "to_do": f.to_do} for f in findings]
        typer.echo(json.dumps(wire, ensure_ascii=False, indent=2))
    if any(finding.level is Level.FAIL for finding in findings):
        raise typer.Exit(EXIT_FAILED)


def _run(check: Check) -> list[Finding]:
    try:
        return check()
    except GenAIFillError as error:
        return fail(error.message, error.hint)
    except Exception as error:  # noqa: BLE001 - a library that does not even import is a finding
        what = f"{type(error).__name__}: {error}"
        return fail(what, f"Install again {install_words('server')}; if it stays, report it.")


def _show(finding: Finding) -> None:
    mark, colour = _MARKS[finding.level]
    typer.echo(f"{typer.style(mark, fg=colour)}  {finding.what}")
    if finding.to_do:
        typer.echo(f"      {finding.to_do}")
