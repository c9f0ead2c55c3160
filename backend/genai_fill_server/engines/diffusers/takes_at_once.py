"""Takes of one prompt in one call: which go together, and what a resumed job has to know.

The last bits of a picture depend on how many are made in a call. So the job's takes are put
together once, and a frame of which any take is missing is made again by the very same call.
How many go together depends on what memory was free when the job began; that is kept with the
job.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from genai_fill_contract.plate import FrameRange
from genai_fill_server.service.ports import EngineJob

MOST = 4
"""More in a call hardly make a device any busier, and the artist waits longer for the first."""

_FILE = "takes_at_once.json"


@dataclass(frozen=True)
class Unit:
    """A frame of some takes. ``wanted`` are those of ``takes`` that are not there yet.

    ``place`` is how many pictures come before it.
    """

    frame: int
    takes: tuple[int, ...]
    wanted: tuple[int, ...]
    place: int


def fitting(takes: int, free_gb: float, working_gb: float) -> int:
    """Return how many takes a call can make where each adds ``working_gb`` to the device."""
    return max(1, min(takes, MOST, int(free_gb // working_gb))) if working_gb > 0 else 1


class TakesAtOnce:
    """How many takes a call makes, from the job's beginning to its end."""

    def __init__(self, count: int, scratch_dir: str) -> None:
        """Take ``count``, unless the job began with another number."""
        self._path = Path(scratch_dir) / _FILE if scratch_dir else None
        kept = self._kept()
        self.count = kept if kept else count
        """Takes of a call."""
        self.is_split = kept == 0
        """Whether memory gave out, so that each take has a call of its own after all."""
        if kept is None:
            self._keep(count)

    def split(self) -> None:
        """Make each take in a call of its own from now on."""
        self.is_split = True
        self._keep(0)

    def units(self, frames: FrameRange, job: EngineJob) -> list[Unit]:
        """Return what is to be made: takes that go together, frame by frame."""
        units: list[Unit] = []
        place = 0
        for takes in self._groups(range(len(job.seeds))):
            for frame in frames:
                wanted = tuple(t for t in takes if not job.done or frame not in job.done[t])
                if wanted:
                    units.append(Unit(frame, takes, wanted, place))
                    place += len(wanted)
        return units

    def _groups(self, takes: Sequence[int]) -> Iterator[tuple[int, ...]]:
        each = 1 if self.is_split else self.count
        for first in range(0, len(takes), each):
            yield tuple(takes[first : first + each])

    def _kept(self) -> int | None:
        """Return what the job began with; None where nobody knows."""
        if self._path is None:
            return None
        try:
            value = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return value if isinstance(value, int) and 0 <= value <= MOST else None

    def _keep(self, value: int) -> None:
        if self._path is not None:
            # Without it a resumed job makes the same pictures but for the last bits.
            with contextlib.suppress(OSError):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._path.write_text(json.dumps(value), encoding="utf-8")
