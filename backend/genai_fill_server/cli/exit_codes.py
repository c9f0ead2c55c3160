"""What the command says when something went wrong, and the code it leaves with."""

from __future__ import annotations

import os
import sys

import typer

from genai_fill_contract.errors import ErrorCode, GenAIFillError

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


def exit_code_of(code: ErrorCode) -> int:
    """Return the exit code that stands for an error."""
    if code in _BACKEND_CODES:
        return EXIT_BACKEND
    return EXIT_USAGE if code in _USAGE_CODES else EXIT_FAILED


def tell(error: GenAIFillError) -> None:
    """Say on stderr what, where and what to do, and the code; in one line where a log reads it."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        typer.echo(f"genai-fill: {error.message} {error.hint} [{error.code.value}]", err=True)
        return
    typer.secho(f"✗ {error.message}", fg="red", err=True)
    typer.echo(f"  {error.hint} [{error.code.value}]", err=True)
