"""One device's lane: claim a job, have the worker run it, survive the worker's death."""

from __future__ import annotations

import base64
import binascii
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from genai_fill_contract.errors import ErrorCode, Internal, JobNotFound, WorkerDied
from genai_fill_contract.job import Job, JobState
from genai_fill_server.domain.job_states import state_after_worker_death
from genai_fill_server.executors.child_process import ChildGone, ChildProcess
from genai_fill_server.executors.protocol import (
    Cancel,
    CropKnown,
    Finished,
    FrameWritten,
    FromChild,
    Logged,
    Previewed,
    Reported,
    Run,
)
from genai_fill_server.service.conclude_job import ConcludeJob
from genai_fill_server.service.job_log import logging_job
from genai_fill_server.service.job_ports import JobStore
from genai_fill_server.service.live_previews import LivePreviews

_LOG = logging.getLogger(__name__)
_PAUSE_AFTER_FAULT_S = 1.0


@dataclass(frozen=True)
class LaneTimes:
    """How long a lane waits.

    ``idle_timeout_s``: after which an idle worker ends and gives its memory back.
    ``cancel_grace_s``: how long a worker may take to stop a cancelled job before it is
    killed. ``poll_s``: how often a waiting lane looks round. ``silence_s``: after how long
    without a word from the worker the job's log says so, and again after as long.
    """

    idle_timeout_s: float
    cancel_grace_s: float = 20.0
    poll_s: float = 0.5
    silence_s: float = 600.0


class Lane:
    """A thread that feeds one worker. Nothing that a worker does can end it."""

    def __init__(
        self,
        device: str,
        store: JobStore,
        conclude: ConcludeJob,
        start_worker: Callable[[str], ChildProcess],
        times: LaneTimes,
        previews: LivePreviews,
    ) -> None:
        """Feed the worker of ``device`` with jobs of ``store``."""
        self._previews = previews
        self._device = device
        self._store = store
        self._conclude = conclude
        self._start_worker = start_worker
        self._times = times
        self._work = threading.Event()
        self._stopping = threading.Event()
        self._worker: ChildProcess | None = None
        self._job_id = ""
        self._cancel_asked = False
        self._heard_of_job = False
        self._thread = threading.Thread(target=self._run, name=f"lane-{device}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Look for queued jobs now."""
        self._work.set()

    def cancel(self, job_id: str) -> None:
        """Stop the job if this lane runs it."""
        if job_id == self._job_id:
            self._cancel_asked = True
            self._poke()

    def ask_to_stop(self) -> None:
        """Begin to stop."""
        self._stopping.set()
        self._work.set()
        self._poke()

    def join(self) -> None:
        """Wait until the lane has stopped and its worker is gone."""
        if self._thread.is_alive():
            self._thread.join()

    def _poke(self) -> None:
        worker = self._worker
        if worker is not None:
            worker.poke()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._step()
            except Exception:  # noqa: BLE001 - it must outlive any fault, or the queue stands
                _LOG.exception("lane %s: fault", self._device)
                self._end_worker()
                self._stopping.wait(_PAUSE_AFTER_FAULT_S)
        self._end_worker()

    def _step(self) -> None:
        """Run the next job, or wait for one."""
        self._work.clear()
        if self._job_id:  # the store failed under it, perhaps for want of room: now again
            self._worker_died(self._job_id, "the backend had a fault, see its log")
            self._job_id = ""
        job = self._store.claim_next()
        if job is None:
            self._rest()
        else:
            with logging_job(job.id):
                self._run_job(job)

    def _rest(self) -> None:
        """Wait for work; end the worker when there is none for long."""
        if self._worker is None:
            self._work.wait()
        elif not self._work.wait(self._times.idle_timeout_s):
            _LOG.info("lane %s: idle, the worker ends", self._device)
            self._end_worker()

    def _end_worker(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.end()

    def _run_job(self, job: Job) -> None:
        self._cancel_asked = False
        self._job_id = job.id
        # Cancelled between the claim and the line above: nobody has told this lane.
        if self._store.get(job.id).state is JobState.CANCELLING:
            self._cancel_asked = True
        was_warm = self._worker is not None
        self._heard_of_job = False
        try:
            self._follow(job)
        except ChildGone as gone:
            self._end_worker()
            if was_warm and not self._heard_of_job:
                _LOG.warning("the warm worker was gone before the job began: %s", gone)
                self._run_job(job)
                return
            self._worker_died(job.id, str(gone))
        finally:
            self._previews.drop(job.id)
        self._job_id = ""

    def _ready_worker(self) -> ChildProcess:
        if self._worker is not None and not self._worker.is_alive:
            _LOG.warning("lane %s: the idle worker is gone", self._device)
            self._end_worker()
        if self._worker is None:
            self._worker = self._start_worker(self._device)
            _LOG.info("lane %s: worker %s started", self._device, self._worker.pid)
        return self._worker

    def _follow(self, job: Job) -> None:
        worker = self._ready_worker()
        _LOG.info("runs in process %s", worker.pid)
        bare = tuple(replace(take, frames_done=()) for take in job.takes)
        worker.send(Run(replace(job, takes=bare)))
        deadline: float | None = None
        heard_s = time.monotonic()
        while not self._stopping.is_set():
            if self._cancel_asked and deadline is None:
                deadline = time.monotonic() + self._times.cancel_grace_s
                worker.send(Cancel(job.id))
            message = worker.receive(self._times.poll_s)
            self._heard_of_job = self._heard_of_job or message is not None
            if isinstance(message, Finished) and message.job_id == job.id:
                self._finished(job.id, message)
                return
            if message is not None:
                heard_s = time.monotonic()
                self._note(job.id, message)
            elif time.monotonic() - heard_s > self._times.silence_s:
                heard_s = time.monotonic()
                self._tell_silence(job.id)
            if deadline is not None and time.monotonic() > deadline:
                _LOG.warning("the worker did not stop in time: killed")
                self._kill_worker()
                self._conclude.cancelled(job.id)
                return
        self._interrupted(job.id)

    def _tell_silence(self, job_id: str) -> None:
        for_s = self._times.silence_s
        spoken = f"{for_s / 60:.0f} minutes" if for_s >= 90 else f"{for_s:g} seconds"
        _LOG.warning("the worker has said nothing for %s", spoken)
        self._store.add_log(
            job_id,
            f"The worker has told nothing for {spoken}. It may be loading a large model, or be "
            "stuck: Cancel ends it, the finished frames are kept.",
        )

    def _kill_worker(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()

    def _note(self, job_id: str, message: FromChild) -> None:
        if isinstance(message, Reported):
            self._store.set_progress(job_id, message.progress)
        elif isinstance(message, FrameWritten):
            self._store.add_frame(job_id, message.frame)
        elif isinstance(message, Logged):
            self._store.add_log(job_id, message.message)
        elif isinstance(message, CropKnown):
            self._store.set_crop(job_id, message.window)
        elif isinstance(message, Previewed):
            self._keep_preview(job_id, message)
        else:
            _LOG.warning("unexpected %s", type(message).__name__)

    def _keep_preview(self, job_id: str, message: Previewed) -> None:
        try:
            png = base64.b64decode(message.png_base64, validate=True)
        except binascii.Error:
            _LOG.warning("a preview of the worker is no base64")
        else:
            self._previews.keep(job_id, message.take_index, png)

    def _finished(self, job_id: str, message: Finished) -> None:
        if message.state is JobState.DONE:
            self._conclude.finished(job_id)
        elif message.state is JobState.CANCELLED:
            self._conclude.cancelled(job_id)
        else:
            error = message.error.to_error() if message.error else _no_reason(job_id)
            self._conclude.failed(job_id, error)
            if error.code is ErrorCode.OUT_OF_MEMORY:
                self._end_worker()  # what is left of its memory is in pieces

    def _interrupted(self, job_id: str) -> None:
        """Leave a job to the next server."""
        self._end_worker()
        job = self._store.transition(
            job_id,
            JobState.QUEUED,
            message="The backend stops; the job resumes with the next one.",
            expected=JobState.RUNNING,
        )
        if job.state is JobState.CANCELLING:
            self._conclude.cancelled(job_id)

    def _worker_died(self, job_id: str, epitaph: str) -> None:
        try:
            before = self._store.get(job_id).state
        except JobNotFound:  # it had ended, and was forgotten since
            return
        if before not in (JobState.RUNNING, JobState.CANCELLING):
            _LOG.error("job %s is %s; after that: %s", job_id, before.value, epitaph)
            return
        deaths = self._store.count_worker_death(job_id)
        _LOG.error("the worker of job %s died: %s", job_id, epitaph)
        after = state_after_worker_death(before, deaths)
        if after is JobState.QUEUED:
            message = f"The worker died ({epitaph}); the job resumes in a new one."
            job = self._store.transition(job_id, after, message=message, expected=before)
            after = job.state
        if after is JobState.FAILED:
            self._conclude.failed(job_id, _died(job_id, epitaph))
        elif after in (JobState.CANCELLED, JobState.CANCELLING):
            self._conclude.cancelled(job_id)


def _died(job_id: str, epitaph: str) -> WorkerDied:
    return WorkerDied(
        f"The worker of job {job_id} died twice: {epitaph}.",
        hint="Often the machine ran out of memory: use a smaller crop or a smaller engine. "
        "The finished frames are kept.",
        job=job_id,
    )


def _no_reason(job_id: str) -> Internal:
    return Internal(
        f"The worker gave no reason why job {job_id} failed.",
        hint="Report this with the backend's log.",
    )
