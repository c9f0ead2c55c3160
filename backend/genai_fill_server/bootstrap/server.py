"""The server process: what is wired to what, how it starts and how it stops."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from genai_fill_contract import CONTRACT_VERSION
from genai_fill_contract.errors import GenAIFillError
from genai_fill_contract.hello import Hello
from genai_fill_contract.job import Job
from genai_fill_contract.settings import Settings
from genai_fill_server.bootstrap.children import (
    child_starter,
    devices_of,
    model_child_starter,
)
from genai_fill_server.bootstrap.config import (
    allowed_roots,
    state_path,
    trusted_files,
    with_model_dirs,
)
from genai_fill_server.bootstrap.engine_points import engines_fingerprint
from genai_fill_server.bootstrap.logs import log_to_file
from genai_fill_server.executors.engine_catalogue import RememberedEngines
from genai_fill_server.executors.lane import LaneTimes
from genai_fill_server.executors.local_workers import LocalWorkers
from genai_fill_server.executors.model_processes import ModelProcesses
from genai_fill_server.executors.side_process import SideProcess
from genai_fill_server.http.app import Backend, build_app
from genai_fill_server.http.event_stream import EventStreams
from genai_fill_server.http.security import LOOPBACK_NAMES, allowed_host_names
from genai_fill_server.http.serving import HttpServer, listen, listen_on_any, url_of
from genai_fill_server.service.allocate_takes import allocate_takes
from genai_fill_server.service.cancel_job import CancelJob
from genai_fill_server.service.conclude_job import ConcludeJob
from genai_fill_server.service.engine_policy import under_policy
from genai_fill_server.service.live_previews import LivePreviews
from genai_fill_server.service.model_tasks import ModelTasks
from genai_fill_server.service.path_policy import PathPolicy
from genai_fill_server.service.recover_jobs import RecoverJobs
from genai_fill_server.service.submit_job import SubmitJob
from genai_fill_server.store.audit_log import JsonlAuditLog
from genai_fill_server.store.engine_memory import EngineMemoryFile
from genai_fill_server.store.job_store import SqliteJobStore
from genai_fill_server.store.state_dir import Endpoint, StateDir

_LOG = logging.getLogger(__name__)
_RECOVERY_PAUSE_S = 2.0
_DAY_S = 86_400.0


@dataclass(frozen=True)
class ServeOptions:
    """How one run of the server differs from its settings.

    ``any_port``: nobody chose the port, so when another user's backend has it already, a free
    one serves as well (clients find it by the state folder). ``audit_path`` is empty for the
    state folder's own log. ``until_stdin_closes`` ties the server to whoever started it.
    ``announce`` is told the address once it listens.
    """

    announce: Callable[[str], None]
    any_port: bool = False
    audit_path: str = ""
    until_stdin_closes: bool = False
    verbose: bool = False


def product_version() -> str:
    """Return the release, or "unknown" when it runs from a folder that was never installed."""
    try:
        return version("genai-fill")
    except PackageNotFoundError:
        return "unknown"


def run_server(settings: Settings, environment: Mapping[str, str], options: ServeOptions) -> None:
    """Serve until SIGINT or SIGTERM. Raises `BackendStartFailed` or `ConfigError`."""
    state = StateDir(state_path(settings, environment))
    settings = with_model_dirs(settings, environment)
    with ExitStack() as stack:
        stack.callback(state.lock().release)
        log_to_file(state.log_dir / "server.log", verbose=options.verbose)
        open_socket = listen_on_any if options.any_port else listen
        listener = open_socket(settings.server.host, settings.server.port)
        stack.callback(listener.close)
        server = ServerProcess(settings, environment, state, options)
        stack.callback(server.close)
        server.run(listener)


class ServerProcess:
    """Everything of one running server."""

    def __init__(
        self,
        settings: Settings,
        environment: Mapping[str, str],
        state: StateDir,
        options: ServeOptions,
    ) -> None:
        """Wire it up; nothing runs yet."""
        self._state = state
        self._options = options
        self._server_id = secrets.token_hex(8)
        self._is_loopback = settings.server.host in LOOPBACK_NAMES
        self._store = SqliteJobStore(state.jobs_path)
        start_child = child_starter(settings, environment, state.log_dir)
        self._side = SideProcess(lambda: start_child("side", devices_of(settings)[0]))
        self._engines = _engines(settings, state, self._side)
        audit = JsonlAuditLog(Path(options.audit_path) if options.audit_path else state.audit_path)
        self._conclude = ConcludeJob(self._store, audit, self._engines)
        self._previews = LivePreviews()
        self._workers = LocalWorkers(
            self._store,
            self._conclude,
            lambda device: start_child(f"worker-{device}", device),
            devices_of(settings),
            LaneTimes(idle_timeout_s=settings.worker.idle_timeout_s),
            self._previews,
        )
        self._streams = EventStreams(self._store)
        trusted = trusted_files(environment)
        paths = PathPolicy(allowed_roots(settings), trusted, settings.models.dirs)
        model_processes = ModelProcesses(model_child_starter(settings, environment, state.log_dir))
        self._models = ModelTasks(model_processes, paths, audit, self._engines.ask_again)
        app = build_app(
            self._backend(settings, paths, audit),
            token=state.ensure_token(),
            host_names=allowed_host_names(settings.server.host, settings.server.allowed_hosts),
        )
        self._http = HttpServer(app, self._listening, self._streams.close)
        self._url = ""
        self._keep_jobs_s = settings.backend.keep_jobs_days * _DAY_S
        self._closing = threading.Event()
        self._starting = threading.Thread(target=self._start_work, name="start-work")

    def _backend(self, settings: Settings, paths: PathPolicy, audit: JsonlAuditLog) -> Backend:
        hello = Hello(
            CONTRACT_VERSION, product_version(), self._server_id, os.getpid(), paths.roots
        )
        return Backend(
            hello=hello,
            store=self._store,
            engines=self._engines,
            submit=SubmitJob(
                self._store, self._engines, paths, allocate_takes, audit, self._workers
            ),
            cancel=CancelJob(self._store, self._workers, self._conclude),
            thumbnails=self._side,
            streams=self._streams,
            previews=self._previews,
            models=self._models,
            default_engine_id=settings.engine.default,
            stop=lambda: self._http.stop(),  # made after the application that it serves
        )

    def run(self, listener: socket.socket) -> None:
        """Serve until told to stop."""
        self._url = url_of(listener)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self._http.stop())
        if self._options.until_stdin_closes:
            threading.Thread(target=self._await_stdin, name="stdin", daemon=True).start()
        self._http.run(listener)
        _LOG.info("stopping")

    def close(self) -> None:
        """End the workers, leave their jobs to the next server, take the address back."""
        self._state.remove_endpoint(self._server_id)
        self._closing.set()
        if self._starting.is_alive():
            self._starting.join()
        self._workers.stop()
        self._models.stop()
        self._side.stop()
        self._store.close()
        _LOG.info("stopped")

    def _listening(self) -> None:
        self._state.write_endpoint(Endpoint(self._url, os.getpid(), self._server_id))
        _LOG.info("process %s listens at %s", os.getpid(), self._url)
        if not self._is_loopback:
            _LOG.warning(
                "open to the network at %s, without TLS: the token is all that guards it", self._url
            )
        self._options.announce(self._url)
        # After the first answer is possible: none of this may delay it.
        self._starting.start()

    def _start_work(self) -> None:
        self._engines.start()
        recover_until_done(RecoverJobs(self._store, self._conclude).recover, self._closing.wait)
        if not self._closing.is_set():
            self._workers.start()
        self._forget_old_jobs()

    def _forget_old_jobs(self) -> None:
        """Take jobs off the list that ended long ago: once a start is often enough."""
        if self._keep_jobs_s <= 0 or self._closing.is_set():
            return
        try:
            count = self._store.forget_finished(time.time() - self._keep_jobs_s)
        except GenAIFillError as error:
            _LOG.warning("old jobs stay on the list: %s", error)
        else:
            _LOG.info("%s old job(s) taken off the list", count)

    def _await_stdin(self) -> None:
        while sys.stdin.buffer.read(4096):
            pass
        self._http.stop()


def recover_until_done(recover: Callable[[], Iterable[Job]], wait: Callable[[float], bool]) -> None:
    """Recover the jobs of an earlier server; again and again while the database refuses.

    On a full disk nothing can be recovered, and nothing may run before: the queue goes on by
    itself once there is room. ``wait`` pauses for so many seconds and says whether to stop.
    """
    while True:
        try:
            for job in recover():
                _LOG.info("job %s of an earlier server is %s", job.id, job.state.value)
        except GenAIFillError as error:
            _LOG.error("the jobs of an earlier server cannot be recovered yet: %s", error)
            if wait(_RECOVERY_PAUSE_S):
                return
        else:
            return


def _engines(settings: Settings, state: StateDir, side: SideProcess) -> RememberedEngines:
    return RememberedEngines(
        ask=side.describe,
        apply_policy=lambda engines: under_policy(
            engines, allow_non_commercial=settings.models.allow_non_commercial
        ),
        fingerprint=lambda: engines_fingerprint(settings),
        memory=EngineMemoryFile(state.engines_path),
    )
