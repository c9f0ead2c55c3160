"""Work in scan order, shared out to threads so that it gives the bits of one.

What is done at a centre needs what was done at its neighbours beside and above. A run of
centres is cut into chunks, a chunk into upright strips. A strip of a chunk may begin once the
strip beside it in the same chunk and its own strip in the chunk before are done: waves of
strips then go through the picture aslant, as on a loom, and each wave's parts have nothing to
do with each other. The cuts depend on the centres alone, not on how many threads there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T")
Centres = npt.NDArray[np.int32]
Places = npt.NDArray[np.int64]

STRIPS = 4
"""Into how many strips a run is cut: more threads than that are of no use to it."""

CHUNK = 4000
"""How many centres make a chunk: some milliseconds of work."""


class Runner(Protocol):
    """Runs jobs beside each other and returns their results in order. May cancel."""

    def __call__(self, jobs: Sequence[Callable[[], T]]) -> list[T]:
        """Return what each of ``jobs`` returns."""


def one_by_one(jobs: Sequence[Callable[[], T]]) -> list[T]:
    """Run jobs one after the other: the runner of those who have no threads."""
    return [job() for job in jobs]


def waves(centres: Centres, forward: bool) -> list[list[Places]]:
    """Return the waves of a run: lists of places in ``centres`` (n, 2: y, x).

    ``centres`` are in scan order if ``forward``, else in reverse. The parts of one wave may
    run beside each other, each in its own order; the waves one after the other.
    """
    if len(centres) == 0:
        return []
    columns = centres[:, 1]
    cuts = np.quantile(columns, np.arange(1, STRIPS) / STRIPS)
    strip = np.searchsorted(cuts, columns, side="right")
    if not forward:
        strip = STRIPS - 1 - strip
    starts = range(0, len(centres), CHUNK)
    found: list[list[Places]] = [[] for _ in range(len(starts) + STRIPS - 1)]
    for chunk, start in enumerate(starts):
        inside = strip[start : start + CHUNK]
        for number in range(STRIPS):
            places = np.flatnonzero(inside == number) + start
            if len(places):
                found[chunk + number].append(places)
    return [wave for wave in found if wave]


def shares(count: int) -> list[slice]:
    """Return slices that together hold ``count`` things which need nothing of each other."""
    return [slice(start, start + CHUNK) for start in range(0, count, CHUNK)]
