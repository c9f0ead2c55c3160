"""The takes that a node knows: what is on disk, and what was asked to get it.

The list lives on the node as JSON, so it is saved with the script and travels with a copy
of the node. Pixels are never in it.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from genai_fill_contract import codec
from genai_fill_contract.errors import MalformedMessage
from genai_fill_contract.fill import FillRequest, OptionValue
from genai_fill_contract.job import Job
from genai_fill_contract.plate import FrameRange
from genai_fill_contract.take import Take

NO_TAKE = "none"
"""The entry of the ``take`` knob that shows the plate."""


@dataclass(frozen=True)
class KnownTake:
    """A take and the settings that made it.

    ``number`` tells takes of one node apart. It is the version on disk unless the node wrote
    to two places and the version is taken. ``summary`` is what the engine says of the result.
    ``off_list`` is set when the artist took it off the list: it stays known, since undo can
    bring it back into the picture, and then it is on the list again.
    """

    number: int
    take: Take
    engine_id: str
    prompt: str = ""
    negative_prompt: str = ""
    engine_options: Mapping[str, OptionValue] = field(default_factory=dict)
    summary: str = ""
    off_list: bool = False

    @property
    def label(self) -> str:
        """How the take is called on the node: ``v003``, or ``v003 #7`` for a second v003."""
        version = f"v{self.take.version:03d}"
        return version if self.number == self.take.version else f"{version} #{self.number}"

    @property
    def missing(self) -> tuple[int, ...]:
        """The frames of its range that it has not."""
        done = set(self.take.frames_done)
        return tuple(frame for frame in self.take.frame_range if frame not in done)


@dataclass(frozen=True)
class Reading:
    """How a take is read: for which frames, and whether one whose file is missing is an error.

    Where it is none, such a frame shows the plate.
    """

    frames: FrameRange
    missing_is_error: bool


def reading_of(take: Take, made: Collection[int], *, growing: bool) -> Reading:
    """Return how to read a take that has the frames ``made``.

    While it is ``growing``, any frame may be still to come. Afterwards a frame that was made
    and is not there must stop a render: the plate in its place looks finished. A take that
    ends early is read as far as it goes, and one with gaps cannot tell them from lost files.
    """
    if growing or not made:
        return Reading(take.frame_range, missing_is_error=False)
    frames = FrameRange(min(made), max(made))
    return Reading(frames, missing_is_error=len(frames) == len(made))


@dataclass(frozen=True)
class TakeList:
    """The takes of a node, oldest first. Every change is a new list."""

    takes: tuple[KnownTake, ...] = ()

    @property
    def listed(self) -> tuple[KnownTake, ...]:
        """The takes that the artist sees."""
        return tuple(known for known in self.takes if not known.off_list)

    def get(self, number: int) -> KnownTake | None:
        """Return the take of that number, or None."""
        return next((known for known in self.takes if known.number == number), None)

    def by_label(self, label: str) -> KnownTake | None:
        """Return the take that the ``take`` knob calls ``label``, or None."""
        return next((known for known in self.takes if known.label == label), None)

    def of_job(self, job_id: str) -> tuple[KnownTake, ...]:
        """Return the takes of one job, in the order of their index."""
        found = [known for known in self.takes if known.take.job_id == job_id]
        return tuple(sorted(found, key=lambda known: known.take.index))

    def labels(self) -> tuple[str, ...]:
        """Return the entries of the ``take`` knob."""
        return (NO_TAKE, *(known.label for known in self.listed))

    def with_job(self, job: Job) -> TakeList:
        """Return the list with a job's takes added, or brought up to date."""
        takes = self
        for take in job.takes:
            takes = takes.with_take(take, job.request)
        return takes

    def with_take(self, take: Take, request: FillRequest) -> TakeList:
        """Return the list with one take added, or brought up to date."""
        for position, known in enumerate(self.takes):
            if (known.take.job_id, known.take.index) == (take.job_id, take.index):
                # What a backend that has lost the job said last may be older than the events.
                updated = replace(known, take=_with_frames(take, set(known.take.frames_done)))
                return TakeList((*self.takes[:position], updated, *self.takes[position + 1 :]))
        used = {known.number for known in self.takes}
        number = take.version if take.version not in used else max(used) + 1
        return TakeList(
            (
                *self.takes,
                KnownTake(
                    number=number,
                    take=take,
                    engine_id=request.engine_id,
                    prompt=request.prompt,
                    negative_prompt=request.negative_prompt,
                    engine_options=dict(request.engine_options),
                ),
            )
        )

    def with_frames(self, job_id: str, index: int, frames: Iterable[int]) -> TakeList:
        """Return the list with more frames of one take done."""
        more = set(frames)
        return TakeList(
            tuple(
                replace(known, take=_with_frames(known.take, more))
                if (known.take.job_id, known.take.index) == (job_id, index)
                else known
                for known in self.takes
            )
        )

    def with_summaries(self, job_id: str, summaries: Mapping[int, str]) -> TakeList:
        """Return the list with what the engine says of a job's takes, by their index."""
        return TakeList(
            tuple(
                replace(known, summary=summaries.get(known.take.index, "") or known.summary)
                if known.take.job_id == job_id
                else known
                for known in self.takes
            )
        )

    def without_unmade(self, job_id: str) -> TakeList:
        """Return the list without those takes of a job that never got a frame."""
        return TakeList(
            tuple(
                known
                for known in self.takes
                if known.take.job_id != job_id or known.take.frames_done
            )
        )

    def without(self, number: int) -> TakeList:
        """Return the list with a take taken off it. Its files stay on disk."""
        return self._with_off_list(number, off_list=True)

    def with_listed(self, number: int) -> TakeList:
        """Return the list with a take that was taken off put back on it."""
        return self._with_off_list(number, off_list=False)

    def _with_off_list(self, number: int, *, off_list: bool) -> TakeList:
        return TakeList(
            tuple(
                replace(known, off_list=off_list) if known.number == number else known
                for known in self.takes
            )
        )


def _with_frames(take: Take, more: set[int]) -> Take:
    done = more.union(take.frames_done)
    return replace(take, frames_done=tuple(frame for frame in take.frame_range if frame in done))


def encode_takes(takes: TakeList) -> str:
    """Return the text of the ``take_list`` knob."""
    return codec.dumps(takes) if takes.takes else ""


@functools.lru_cache(maxsize=32)
def decode_takes(text: str) -> TakeList:
    """Return the list in the text of a ``take_list`` knob; empty text is an empty list.

    Fields of a later release are ignored. Raises `MalformedMessage` when it is damaged.
    A panel asks several times a second for the same text, hence the cache.
    """
    if not text.strip():
        return TakeList()
    try:
        return codec.loads(TakeList, text, unknown="ignore")
    except MalformedMessage as error:
        raise MalformedMessage(
            f"The node's list of takes is damaged: {error.message}",
            hint="The takes are still on disk. Use an older script, or delete the node.",
        ) from error
