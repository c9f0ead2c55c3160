"""Which frames in reach are worth aligning to fill one.

Few of many: those that together show most of the hole, near ones first; and beside them some
spread over time, where a plane cannot tell what a frame will show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genai_fill_server.engines.cleanplate.motion import warped
from genai_fill_server.engines.cleanplate.planes import Matrix
from genai_fill_server.engines.cleanplate.proxies import Proxy
from genai_fill_server.engines.cleanplate.region import Region

Mask = npt.NDArray[np.bool_]

_COVERAGE_STEP = 4
_SPREAD_STEPS = (1, 2, 4, 7, 11)
_WANTED_PER_PIXEL = 3


@dataclass(frozen=True)
class Candidate:
    """A frame in reach and the chain's matrices to it, one a plane of the target.

    The first is the dominant plane's and always there.
    """

    proxy: Proxy
    matrices: tuple[Matrix | None, ...]

    @property
    def main(self) -> Matrix:
        """The dominant plane's matrix."""
        matrix = self.matrices[0]
        if matrix is None:
            raise ValueError("the dominant plane is never lost")
        return matrix


def coverage_of_planes(region: Region, hole: Mask, candidate: Candidate) -> Mask:
    """Return `coverage` of every plane, one after the other, shape (planes * n,).

    A frame that shows the backdrop behind the hole may still hide what stands before it.
    """
    shown = [coverage(region, hole, candidate)]
    for matrix in candidate.matrices[1:]:
        if matrix is None:
            shown.append(np.zeros_like(shown[0]))
        else:
            shown.append(coverage(region, hole, Candidate(candidate.proxy, (matrix,))))
    return np.concatenate(shown)


def coverage(region: Region, hole: Mask, candidate: Candidate) -> Mask:
    """Return which pixels of a coarse grid over the hole the candidate can show, shape (n,).

    Its main plane decides. The grid has every fourth pixel of the region; ``hole`` is already
    reduced to it.
    """
    width, height = region.size
    scale = np.diag([float(_COVERAGE_STEP), float(_COVERAGE_STEP), 1.0])
    size = (-(-width // _COVERAGE_STEP), -(-height // _COVERAGE_STEP))
    valid = warped(
        candidate.proxy.valid, candidate.main @ region.offset @ scale, size, linear=False
    )
    return np.asarray(valid[hole] > 0, np.bool_)


def coarse_hole(hole: Mask) -> Mask:
    """Return the hole on the grid of `coverage`; a hole too small for it keeps one pixel."""
    coarse = hole[::_COVERAGE_STEP, ::_COVERAGE_STEP]
    if coarse.any():
        return coarse
    rows, columns = np.nonzero(hole)
    coarse = np.zeros_like(coarse)
    coarse[rows[0] // _COVERAGE_STEP, columns[0] // _COVERAGE_STEP] = True
    return coarse


def best_frames(
    frame: int, candidates: Sequence[Candidate], shown: Sequence[Mask], limit: int
) -> list[int]:
    """Return indices of at most ``limit`` candidates that together show the hole well.

    Greedy: each step takes the one that adds most pixels not yet shown three times, near
    frames first. Returned nearest first.
    """
    if not candidates:
        return []
    counts = np.zeros(len(shown[0]), np.float32)
    worth = np.array([1.0, 0.35, 0.2], np.float32)
    left = set(range(len(candidates)))
    chosen: list[int] = []
    while left and len(chosen) < limit:
        value_of = np.where(
            counts < _WANTED_PER_PIXEL, worth[np.minimum(counts, 2).astype(np.int64)], 0.0
        )
        scores = {
            index: float(value_of[shown[index]].sum())
            * float(np.exp(-abs(candidates[index].proxy.frame - frame) / 16.0))
            for index in left
        }
        best = max(sorted(left), key=lambda index: scores[index])
        if scores[best] < 0.002 * len(counts) and (scores[best] <= 0.0 or chosen):
            break
        chosen.append(best)
        left.discard(best)
        counts += shown[best]
    return sorted(chosen, key=lambda i: abs(candidates[i].proxy.frame - frame))


def spread_frames(frame: int, candidates: Sequence[Candidate], chosen: Sequence[int]) -> list[int]:
    """Return indices of candidates beside ``chosen``, spread over time to both sides.

    For shots in which a plane cannot tell what a frame will show: things stand before each
    other, shadows wander. Near frames have the same light, far ones see round things.
    """
    by_frame = {one.proxy.frame: index for index, one in enumerate(candidates)}
    wanted = [frame + side * step for step in _SPREAD_STEPS for side in (-1, 1)]
    return [by_frame[n] for n in wanted if n in by_frame and by_frame[n] not in chosen]
