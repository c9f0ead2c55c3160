"""A fill from the button to its last frame; or, taken up again, from where it is."""

from __future__ import annotations

from contextlib import suppress

from genai_fill.app.bring_in_take import ABSENT_S, BringInTake
from genai_fill.app.follow_job import FollowJob
from genai_fill.app.ports import (
    Clock,
    Host,
    NodeState,
    SettingsSource,
    SpoolFolders,
    TakeFiles,
)
from genai_fill.app.submit_fill import SubmitFill
from genai_fill.app.tidy_spool import folders_of
from genai_fill.app.watch import FillStopped, FillWatch, Stage
from genai_fill.domain.eta import SmoothedEta
from genai_fill.domain.status_text import (
    error_text,
    final_text,
    gap_text,
    progress_text,
    queue_text,
)
from genai_fill.domain.takes import TakeList
from genai_fill_contract.errors import GenAIFillError, JobNotFound, NodeGone
from genai_fill_contract.job import EventKind, Job, JobEvent, JobState, Progress
from genai_fill_contract.plate import path_at

SAY_INTERVAL_S = 0.5
"""How often the node's status text changes at most."""


class RunFill:
    """Runs fills of nodes, each to its end. For worker threads, or for a blocking caller.

    A job whose node is deleted is followed all the same: undo may bring the node back, and
    somebody has to clear the plates away.
    """

    def __init__(
        self,
        host: Host,
        submit: SubmitFill,
        follow: FollowJob,
        folders: SpoolFolders,
        files: TakeFiles,
        settings: SettingsSource,
        clock: Clock,
    ) -> None:
        """``folders`` deletes the plates of jobs that have ended; ``files`` has their recipes."""
        self._host = host
        self._submit = submit
        self._follow = follow
        self._folders = folders
        self._files = files
        self._settings = settings
        self._clock = clock

    def generate(self, uuid: str, watch: FillWatch) -> Job | None:
        """Submit a fill and follow it; return the job at its end, None if cancelled before.

        Raises `GenAIFillError`, after the node has said so.
        """
        try:
            job = self._submit(uuid, watch)
            return self._see_through(uuid, job.id, watch, show=True)
        except FillStopped:
            self._say(uuid, final_text(JobState.CANCELLED, ()))
            return None
        except GenAIFillError as error:
            self._say_error(uuid, error)
            raise

    def resume(self, uuid: str, job_id: str, watch: FillWatch) -> Job | None:
        """Follow a job that nobody follows any more; None when the backend lost it.

        Raises `GenAIFillError`, after the node has said so.
        """
        try:
            return self._see_through(uuid, job_id, watch, show=False)
        except JobNotFound:
            self._host.run_on_main(lambda: self._let_go(uuid, job_id))
            watch.report(Stage("", state=JobState.LOST))
            return None
        except GenAIFillError as error:
            self._say_error(uuid, error)
            raise

    def _see_through(self, uuid: str, job_id: str, watch: FillWatch, *, show: bool) -> Job:
        bring_in = BringInTake(self._host, self._clock, uuid, job_id, show=show)
        listener = _Listener(self._host, self._clock, uuid, bring_in, watch)
        job = self._follow(job_id, listener)
        bring_in.flush()
        self._finish(uuid, job, watch)
        watch.report(Stage("", state=job.state))
        return job

    def _finish(self, uuid: str, job: Job, watch: FillWatch) -> None:
        summaries = {take.index: self._files.summary(take.recipe_path) for take in job.takes}

        def on_node() -> None:
            watch.finish()  # in the same turn as the words that invite to generate again
            node = self._host.node(uuid)
            if node.job_id == job.id:
                self._host.set_job(uuid, "")
            takes = node.takes.with_summaries(job.id, summaries)
            if job.state in (JobState.FAILED, JobState.CANCELLED):
                # Nothing will ever come of these, and five tries would leave five of them.
                takes = takes.without_unmade(job.id)
            gaps = self._settle(node, takes, job.id)
            if takes != node.takes:
                self._host.remember(uuid, takes)
            if job.error is not None:
                self._host.say(uuid, error_text(job.error.to_error()), is_error=True)
            else:
                self._host.say(uuid, f"{final_text(job.state, job.takes)} {gaps}".strip())

        with suppress(NodeGone):  # it is told when the node comes back and asks for its job
            self._host.run_on_main(on_node)
        # Plates of a lost job stay: a backend that comes back may take it up again.
        if job.state is not JobState.LOST and not self._settings.load().spool.keep:
            for folder in folders_of(job.request):
                self._folders.discard(folder)

    def _let_go(self, uuid: str, job_id: str) -> None:
        """Forget a job that the backend does not know any more."""
        self._host.set_job(uuid, "")
        node = self._host.node(uuid)
        gaps = self._settle(node, node.takes, job_id)
        self._host.say(uuid, f"{final_text(JobState.LOST, ())} {gaps}".strip())

    def _settle(self, node: NodeState, takes: TakeList, job_id: str) -> str:
        """Show a take of a job that has ended as it stays, or the plate if it has none.

        Nothing more will come: from now on a missing frame is an error. Returns what is to
        be said of frames that the take shown has not.
        """
        if node.chosen is None:
            return ""
        shown = takes.get(node.chosen)
        if shown is None or shown.take.job_id == job_id:
            self._host.show_take(node.uuid, shown, undoable=False)
        if shown is None:
            return ""
        pattern = shown.take.path_pattern
        missing = [f for f in shown.missing if not self._files.has(path_at(pattern, f))]
        return gap_text(shown.label, missing)

    def _say(self, uuid: str, text: str) -> None:
        self._host.run_on_main(lambda: self._host.say(uuid, text))

    def _say_error(self, uuid: str, error: GenAIFillError) -> None:
        if not isinstance(error, NodeGone):
            self._host.run_on_main(lambda: self._host.say(uuid, error_text(error), is_error=True))


class _Listener:
    """Turns what a job tells into the node's state and the watch's stages."""

    def __init__(
        self, host: Host, clock: Clock, uuid: str, bring_in: BringInTake, watch: FillWatch
    ) -> None:
        self._host = host
        self._clock = clock
        self._uuid = uuid
        self._bring_in = bring_in
        self._watch = watch
        self._eta = SmoothedEta()
        self._phase = ""
        self._said_s = float("-inf")

    def on_job(self, job: Job) -> None:
        self._bring_in.note_job(job)
        if job.state is JobState.QUEUED:
            self._tell(job.state, Progress(queue_text(job.queue_position)), known=False)
        elif not job.state.is_final:
            self._tell(job.state, job.progress)

    def on_event(self, event: JobEvent) -> None:
        if event.frame is not None:
            self._bring_in.note_frame(event.frame)
        else:
            self._bring_in.flush_if_due()
        if event.kind is EventKind.LOG and event.message:
            self._watch.log(event.message)
        if event.state is JobState.QUEUED:
            self._tell(event.state, Progress(queue_text(None)), known=False)
        elif not event.state.is_final and event.kind is not EventKind.LOG:
            self._tell(event.state, event.progress)

    def on_idle(self) -> None:
        self._bring_in.flush_if_due()

    def on_gap(self) -> None:
        self._watch.report(Stage("Connecting to the backend again"))

    def _tell(self, state: JobState, progress: Progress, *, known: bool = True) -> None:
        now = self._clock.now()
        if progress.phase != self._phase:
            self._phase = progress.phase
            self._eta.reset()
        eta = self._eta.update(now, progress.eta_s)
        fraction = progress.fraction if known else None
        words = progress.phase or "Filling"
        phase = "Cancelling" if state is JobState.CANCELLING else words[:1].upper() + words[1:]
        self._watch.report(Stage(phase, fraction, eta, state))
        if now - self._said_s >= SAY_INTERVAL_S:
            self._said_s = now
            text = progress_text(phase, fraction, eta)
            try:
                self._host.run_on_main(lambda: self._host.say(self._uuid, text))
            except NodeGone:
                self._said_s = now + ABSENT_S
