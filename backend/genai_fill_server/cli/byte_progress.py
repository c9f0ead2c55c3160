"""Progress of gigabytes: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from genai_fill_server.models.ports import Progress

_LINE_EVERY_S = 10.0


@contextmanager
def byte_progress(*, quiet: bool) -> Iterator[Progress]:
    """Draw progress on stderr while the block runs; stdout is for what a script reads."""
    if quiet:
        yield _Silent()
    elif sys.stderr.isatty():
        with _rich() as drawn:
            yield _Bar(drawn)
    else:
        yield _Lines()


class _Silent:
    def start(self, what: str, total_bytes: int) -> None:
        """Nobody wants to know."""

    def advance(self, done_bytes: int) -> None:
        """Nobody wants to know."""


class _Lines:
    def __init__(self) -> None:
        self._what, self._done, self._total, self._said_s = "", 0, 0, 0.0

    def start(self, what: str, total_bytes: int) -> None:
        self._what, self._done, self._total = what, 0, total_bytes
        self._say()

    def advance(self, done_bytes: int) -> None:
        self._done += done_bytes
        if time.monotonic() - self._said_s > _LINE_EVERY_S:
            self._say()

    def _say(self) -> None:
        self._said_s = time.monotonic()
        typer.echo(f"{self._what}: {self._done / 1e9:.1f} of {self._total / 1e9:.1f} GB", err=True)


class _Bar:
    def __init__(self, drawn: RichProgress) -> None:
        self._drawn = drawn
        self._task: TaskID | None = None

    def start(self, what: str, total_bytes: int) -> None:
        from rich.markup import escape

        self._task = self._drawn.add_task(escape(what), total=total_bytes)

    def advance(self, done_bytes: int) -> None:
        if self._task is not None:
            self._drawn.update(self._task, advance=done_bytes)


def _rich() -> RichProgress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
