"""The worker process: `python -m genai_fill_server.bootstrap.worker`, started by the server."""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING, BinaryIO

from genai_fill_server.executors.child_environment import child_environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genai_fill_contract.engine import EngineDescription
    from genai_fill_contract.job import Job
    from genai_fill_server.executors.protocol import Start
    from genai_fill_server.executors.worker_loop import Duties
    from genai_fill_server.executors.worker_watch import WorkerWatch
    from genai_fill_server.service.job_ports import ThumbnailRequest
    from genai_fill_server.service.ports import Engine

_LOG = logging.getLogger(__name__)


def main() -> None:
    """Serve one server over stdin and stdout until stdin ends."""
    # Before any library is imported: some read these once, at their import. The server sets
    # them too; whoever starts this by hand shall not go on line either.
    os.environ.update(child_environment({}, threads=0))
    # Ctrl-C in a terminal goes to the whole group: the server decides what becomes of us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    lines_in, lines_out = take_pipes()

    from genai_fill_server.bootstrap.logs import log_to_stderr
    from genai_fill_server.executors.worker_loop import WorkerLoop

    log_to_stderr(verbose=False)
    WorkerLoop(lines_in, lines_out, make_duties).run()


def take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Return stdin and stdout for the protocol alone.

    Libraries that print get stderr instead, and those that read stdin get nothing, at the
    level of file descriptors, so native code cannot break the protocol either.
    """
    lines_in = os.fdopen(os.dup(0), "rb")
    lines_out = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return lines_in, lines_out


def make_duties(start: Start) -> Duties:
    """Return what this process can do."""
    return WorkerDuties(start)


class WorkerDuties:
    """`Duties` with the installed engines. Heavy imports happen when first needed."""

    def __init__(self, start: Start) -> None:
        """Work with the server's settings."""
        self._start = start
        self._engines: dict[str, Engine] | None = None
        self._broken: Sequence[EngineDescription] = ()
        self._warm: Engine | None = None

    def describe(self) -> Sequence[EngineDescription]:
        """Return every engine, the broken included, as they are now."""
        self._forget()
        return self._descriptions()

    def _descriptions(self) -> Sequence[EngineDescription]:
        return [engine.description for engine in self._load().values()] + list(self._broken)

    def run(self, job: Job, watch: WorkerWatch) -> None:
        """Run a job to its last frame. The engine stays warm for the next one."""
        from genai_fill_server.imaging.local_frames import local_frame_ports
        from genai_fill_server.service.engine_policy import admit, under_policy
        from genai_fill_server.service.path_policy import PathPolicy
        from genai_fill_server.service.run_fill import run_fill

        if job.request.engine_id not in self._load():
            self._forget()  # its model may have come since this process looked
        policy = under_policy(
            self._descriptions(),
            allow_non_commercial=self._start.settings.models.allow_non_commercial,
        )
        # Checked when the request came in; weights, links and licences may have moved since.
        description = admit(job.request, policy)
        models = self._start.settings.models.dirs
        roots = PathPolicy(self._start.roots, self._start.trusted_files, models)
        roots.check_request(job.request, description)
        engine = self._load()[description.id]
        if self._warm is not None and self._warm is not engine:
            self._warm.release()
        self._warm = engine
        _LOG.info("engine %s", description.id)
        run_fill(job.request, engine, job.takes, local_frame_ports(), watch)

    def thumbnail(self, request: ThumbnailRequest) -> bytes:
        """Return a PNG file. Raises `PathNotAllowed` where a link leads out of the roots."""
        from genai_fill_server.imaging.thumbnail import thumbnail_png
        from genai_fill_server.service.path_policy import PathPolicy

        roots = PathPolicy(self._start.roots, self._start.trusted_files)
        roots.check_file("The take's frame", request.path)
        return thumbnail_png(request.path, request.frame, request.width_px, request.colour)

    def _load(self) -> dict[str, Engine]:
        if self._engines is None:
            from genai_fill_server.bootstrap.engine_plugins import engine_settings, load_engines

            made, self._broken = load_engines(
                engine_settings(self._start.settings, self._start.device)
            )
            self._engines = {engine.description.id: engine for engine in made}
            self._broken = [*self._broken, *self._not_installed()]
        return self._engines

    def _forget(self) -> None:
        """Look at what is installed anew the next time: models come and go."""
        if self._warm is not None:
            self._warm.release()
        self._warm = self._engines = None

    def _not_installed(self) -> Sequence[EngineDescription]:
        """Return the models that an artist could have, unless the model engines are broken."""
        from genai_fill_server.bootstrap.engine_points import has_model_engines
        from genai_fill_server.bootstrap.model_folders import engines_not_installed

        if not has_model_engines([engine.id for engine in self._broken]):
            return ()
        assert self._engines is not None
        return engines_not_installed([engine.description for engine in self._engines.values()])


if __name__ == "__main__":
    main()
