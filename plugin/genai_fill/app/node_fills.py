"""The fills under way, one a node, each on a thread of its own."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress

from genai_fill.app.cancel_fill import CancelFill
from genai_fill.app.panel_view import NodeRecord
from genai_fill.app.ports import Host, TaskRunner
from genai_fill.app.run_fill import RunFill
from genai_fill.app.watch import FillWatch, Stage
from genai_fill.domain.status_text import error_text
from genai_fill_contract.errors import (
    BackendError,
    ErrorReport,
    GenAIFillError,
    Internal,
    InvalidRequest,
    NodeGone,
)
from genai_fill_contract.job import Job, JobState

_log = logging.getLogger(__name__)


class NodeFills:
    """Starts, resumes and cancels fills. Main thread only; threads report through the host."""

    def __init__(
        self,
        host: Host,
        run: RunFill,
        cancel: CancelFill,
        tasks: TaskRunner,
        changed: Callable[[str], None],
        ended: Callable[[str, Job | None], None],
    ) -> None:
        """``changed`` gets the uuid of a node whose record changed; ``ended`` its last job."""
        self._host = host
        self._run = run
        self._cancel = cancel
        self._tasks = tasks
        self._changed = changed
        self._ended = ended
        self._records: dict[str, NodeRecord] = defaultdict(NodeRecord)

    def record(self, uuid: str) -> NodeRecord:
        """Return what is known of a node."""
        return self._records[uuid]

    def generate(self, uuid: str) -> None:
        """Start a fill; raises `InvalidRequest` while another one of the node is under way."""
        if self._records[uuid].is_busy:
            raise InvalidRequest(
                f"{self._host.node(uuid).name} is being filled already.",
                hint="Wait for it, or cancel it first.",
            )
        self._start(uuid, "Getting ready", lambda watch: self._run.generate(uuid, watch))

    def resume(self, uuid: str) -> None:
        """Follow the job that a node has kept, if it has one and nobody follows it.

        Without a GUI nobody serves a thread that follows: then the job is left alone.
        """
        if not self._host.interactive:
            return
        job_id = self._host.node(uuid).job_id
        record = self._records[uuid]
        if job_id and not record.is_busy and record.given_up != job_id:
            self._start(
                uuid, "Looking for the job", lambda watch: self._run.resume(uuid, job_id, watch)
            )

    def try_again(self) -> None:
        """Let jobs that were out of reach be looked for again."""
        for record in self._records.values():
            record.given_up = ""

    def cancel(self, uuid: str) -> None:
        """Cancel what is going on for a node, or the job it has kept."""
        watch = self._records[uuid].watch
        job_id = self._host.node(uuid).job_id
        if watch is not None:
            watch.cancel()
        if job_id:
            self._tasks.start("cancel", lambda: self._tell_backend(uuid, job_id, watch))
        self._changed(uuid)

    def _tell_backend(self, uuid: str, job_id: str, watch: FillWatch | None) -> None:
        try:
            self._cancel(job_id, watch)
        except GenAIFillError as error:
            report = ErrorReport.of(error)
            self._host.post_to_main(lambda: self._fail(uuid, report))

    def _fail(self, uuid: str, report: ErrorReport) -> None:
        self._records[uuid].error = report
        self._say(uuid, report.to_error())
        self._changed(uuid)

    def _say(self, uuid: str, error: GenAIFillError) -> None:
        """Say it on the node too: the panel may not be open."""
        with suppress(GenAIFillError):
            self._host.say(uuid, error_text(error), is_error=True)

    def _start(self, uuid: str, phase: str, work: Callable[[FillWatch], Job | None]) -> None:
        record = self._records[uuid]
        watch = FillWatch(
            lambda stage: self._host.post_to_main(lambda: self._staged(uuid, watch, stage)),
            lambda line: self._host.post_to_main(lambda: self._logged(uuid, line)),
        )
        record.watch, record.stage, record.error, record.given_up = watch, Stage(phase), None, ""
        self._tasks.start(f"fill {uuid[:8]}", lambda: self._work(uuid, watch, work))
        self._changed(uuid)

    def _work(self, uuid: str, watch: FillWatch, work: Callable[[FillWatch], Job | None]) -> None:
        job: Job | None = None
        error: GenAIFillError | None = None
        try:
            job = work(watch)
        except GenAIFillError as failure:
            error = failure
        except Exception as failure:  # noqa: BLE001 - a thread's end: nobody is above
            _log.exception("A fill failed in a way that nobody foresaw")
            error = Internal(
                f"Something went wrong inside GenAI Fill: {type(failure).__name__}: {failure}.",
                hint="The script is unharmed. Look into Nuke's terminal for the traceback.",
            )
        self._host.post_to_main(lambda: self._over(uuid, watch, job, error))

    def _over(
        self, uuid: str, watch: FillWatch, job: Job | None, error: GenAIFillError | None
    ) -> None:
        record = self._records[uuid]
        if record.watch is watch:
            self._conclude(uuid, record, job, error)
        self._ended(uuid, job)
        self._changed(uuid)

    def _conclude(
        self, uuid: str, record: NodeRecord, job: Job | None, error: GenAIFillError | None
    ) -> None:
        record.watch = None
        if isinstance(error, NodeGone):
            record.stage = None  # the node may come back by undo, and then nothing is wrong
        elif error is not None:
            record.error = ErrorReport.of(error)
            record.stage = Stage("", state=JobState.FAILED)
            self._say(uuid, error)
            if isinstance(error, BackendError):
                record.given_up = self._kept_job(uuid)
        elif job is not None:
            record.error = job.error
            record.stage = Stage("", state=job.state)
        elif record.stage is None or record.stage.state is not JobState.LOST:
            record.stage = Stage("", state=JobState.CANCELLED)

    def _kept_job(self, uuid: str) -> str:
        try:
            return self._host.node(uuid).job_id
        except GenAIFillError:
            return ""

    def _staged(self, uuid: str, watch: FillWatch, stage: Stage) -> None:
        record = self._records[uuid]
        if record.watch is watch:
            record.stage = stage
            self._changed(uuid)

    def _logged(self, uuid: str, line: str) -> None:
        self._records[uuid].log.append(line)
        self._changed(uuid)
