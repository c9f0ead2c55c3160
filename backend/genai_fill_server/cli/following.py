"""Wait for a job on the command line: show how far it is, cancel it on Ctrl-C."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import typer

from genai_fill_contract.job import EventKind, Job, JobEvent
from genai_fill_server.http.client import BackendClient


class Reporter(Protocol):
    """Shows a job's events."""

    def show(self, event: JobEvent) -> None:
        """Show one event."""


def follow_to_end(client: BackendClient, job: Job, reporter: Reporter) -> Job:
    """Return the job in its final state.

    Ctrl-C cancels the job and waits for its end; a second one leaves at once.
    """
    after = 0
    try:
        for event in client.follow(job.id):
            after = event.id
            reporter.show(event)
    except KeyboardInterrupt:
        typer.echo("cancelling…", err=True)
        client.cancel(job.id)
        for event in client.follow(job.id, after):
            reporter.show(event)
    return client.job(job.id)


@contextmanager
def reporter_for(job: Job, *, quiet: bool) -> Iterator[Reporter]:
    """Return a progress bar on a terminal, lines in a log, nothing when ``quiet``."""
    if quiet:
        yield _Silent()
    elif sys.stderr.isatty():
        with _bar(job) as bar:
            yield bar
    else:
        yield _Lines(job)


class _Silent:
    def show(self, event: JobEvent) -> None:
        pass


class _Lines:
    """One line for each thing that happened: what a farm's log wants."""

    def __init__(self, job: Job) -> None:
        self._total = len(job.takes) * len(job.request.frame_range)
        self._done = 0

    def show(self, event: JobEvent) -> None:
        if event.kind is EventKind.FRAME and event.frame is not None:
            self._done += 1
            typer.echo(
                f"frame {event.frame.frame} of take {event.frame.take_index + 1} "
                f"({self._done} of {self._total}): {event.frame.path}",
                err=True,
            )
        elif event.kind is EventKind.STATE:
            typer.echo(f"{event.state.value}. {event.message}".strip(), err=True)
        elif event.kind is EventKind.LOG:
            typer.echo(event.message, err=True)


@contextmanager
def _bar(job: Job) -> Iterator[Reporter]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description:<28}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[left]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(job.state.value, total=1.0, left="")

        class Bar:
            def show(self, event: JobEvent) -> None:
                eta = event.progress.eta_s
                progress.update(
                    task,
                    completed=event.progress.fraction,
                    description=event.progress.phase or event.state.value,
                    left="" if eta is None else f"{eta_text(eta)} left",
                )
                if event.kind is EventKind.LOG or event.message:
                    console.print(event.message, markup=False, highlight=False)

        yield Bar()


def eta_text(seconds: float) -> str:
    """Return a duration in words: "48 s", "3 min 20 s", "2 h 5 min"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
