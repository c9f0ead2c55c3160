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


BAND_ROWS = 128
"""Rows of a picture that are worked on at once: an even number, that the cache can hold."""


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
    strip = _strips_of(centres[:, 1])
    if not forward:
        strip = (STRIPS - 1 - strip).astype(np.uint8)
    starts = range(0, len(centres), CHUNK)
    found: list[list[Places]] = [[] for _ in range(len(starts) + STRIPS - 1)]
    for chunk, start in enumerate(starts):
        inside = strip[start : start + CHUNK]
        for number in range(STRIPS):
            places = np.flatnonzero(inside == number) + start
            if len(places):
                found[chunk + number].append(places)
    return [wave for wave in found if wave]


def _strips_of(columns: npt.NDArray[np.int32]) -> npt.NDArray[np.uint8]:
    """Return in which strip each centre is; strips hold about as many centres each."""
    # There are few columns and many centres: quantiles come from a count of each column.
    up_to = np.cumsum(np.bincount(columns))
    ranks = np.arange(1, STRIPS) / STRIPS * (len(columns) - 1)
    cuts = np.searchsorted(up_to, np.floor(ranks), side="right")
    above = np.searchsorted(up_to, np.ceil(ranks), side="right")
    borders = cuts + (above - cuts) * (ranks - np.floor(ranks))
    table = np.searchsorted(borders, np.arange(len(up_to)), side="right").astype(np.uint8)
    return np.asarray(table[columns], np.uint8)


def bands(height: int) -> list[slice]:
    """Return slices of `BAND_ROWS` rows, all but the last, that together are ``height``.

    Each begins on an even row: half the size, bands are bands again.
    """
    return [
        slice(start, min(start + BAND_ROWS, height))
        for start in range(0, max(height, 1), BAND_ROWS)
    ]


def shares(count: int) -> list[slice]:
    """Return slices that together hold ``count`` things which need nothing of each other."""
    return [slice(start, start + CHUNK) for start in range(0, count, CHUNK)]
