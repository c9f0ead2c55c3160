"""Bring frames into the node as they appear on disk."""

from __future__ import annotations

from collections import defaultdict

from genai_fill.app.ports import Clock, Host
from genai_fill_contract.errors import NodeGone
from genai_fill_contract.job import FrameDone, Job

INTERVAL_S = 0.5
"""Frames that come faster are brought in together: each time costs Nuke a redraw."""
ABSENT_S = 2.0
"""How long a node that was deleted is left alone: looking for it goes through the script."""


class BringInTake:
    """Keeps a node's takes in step with one job. For worker threads.

    The first take of the job is shown as soon as it has a frame, unless the artist chose
    another one after pressing Generate. A node that was deleted may come back by undo: what
    it has missed waits for it.
    """

    def __init__(self, host: Host, clock: Clock, uuid: str, job_id: str, *, show: bool) -> None:
        """``show`` is false for a job that was taken up again: the artist's choice stands."""
        self._host = host
        self._clock = clock
        self._uuid = uuid
        self._job_id = job_id
        self._show = show
        self._chosen_before: int | None = None
        self._known_choice = False
        self._frames: dict[int, set[int]] = defaultdict(set)
        self._job: Job | None = None
        self._job_is_news = False
        self._is_waiting = False
        self._next_s = float("-inf")

    def note_job(self, job: Job) -> None:
        """Take over the whole job, and bring in what it has."""
        self._job, self._job_is_news = job, True
        self._bring_in()

    def note_frame(self, done: FrameDone) -> None:
        """Note a finished frame; it is brought in with the next ones."""
        self._frames[done.take_index].add(done.frame)
        self._is_waiting = True
        self.flush_if_due()

    def flush_if_due(self) -> None:
        """Bring in what is waiting, if the last time was long enough ago."""
        if self._clock.now() >= self._next_s:
            self.flush()

    def flush(self) -> None:
        """Bring in everything that is waiting."""
        if self._is_waiting and self._bring_in():
            self._next_s = self._clock.now() + INTERVAL_S

    def _bring_in(self) -> bool:
        """Bring in what there is; return whether the node was there to take it."""
        try:
            self._host.run_on_main(self._apply)
        except NodeGone:
            self._is_waiting = True
            self._next_s = self._clock.now() + ABSENT_S
            return False
        if self._job_is_news:
            self._frames.clear()  # the job has them
        self._is_waiting = self._job_is_news = False
        return True

    def _apply(self) -> None:
        node = self._host.node(self._uuid)
        if not self._known_choice:
            self._chosen_before, self._known_choice = node.chosen, True
        if node.job_id != self._job_id:
            self._host.set_job(self._uuid, self._job_id)
        takes = node.takes
        # A list without any of the job's takes was pasted over, or is older than the job.
        if self._job is not None and (self._job_is_news or not takes.of_job(self._job_id)):
            takes = takes.with_job(self._job)
        for index, frames in self._frames.items():
            takes = takes.with_frames(self._job_id, index, frames)
        if takes != node.takes:
            self._host.remember(self._uuid, takes)
        ours = takes.of_job(self._job_id)
        first = next((k for k in ours if k.take.frames_done and not k.off_list), None)
        if self._show and first is not None:
            self._show = False
            if node.chosen == self._chosen_before:
                self._host.show_take(self._uuid, first, undoable=False)
                return
        if takes != node.takes and node.chosen in [known.number for known in ours]:
            self._host.reload_take(self._uuid)
