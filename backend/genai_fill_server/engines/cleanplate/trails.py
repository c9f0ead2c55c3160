"""One frame's planes followed through the shot, a frame at a time.

`Borrower` looks from a target at its neighbours; a patch is looked at from everywhere. Its
chain is therefore made once, outwards from the patch, and what it says of a frame does not
depend on which frames were asked for before.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from genai_fill_server.engines.cleanplate.motion import CameraMotion, Step, Ways, linked
from genai_fill_server.engines.cleanplate.planes import Matrix, Points, identity
from genai_fill_server.engines.cleanplate.proxies import Proxies, Proxy

_VOTE_PX = 6.0
"""How near points of a frame are as good as at the spot itself when they vote for a plane."""

_AT_ONCE = 2048


class Trail:
    """Where the planes of ``frame`` are on other frames of the shot."""

    def __init__(self, frame: int, proxies: Proxies, motion: CameraMotion) -> None:
        self.frame = frame
        self._proxies = proxies
        self._motion = motion
        self._start = self._numbering()
        count = len(self._start.matrices) if self._start is not None else 1
        at_home = Ways(tuple(identity() for _ in range(count)), tuple(range(count)))
        self._ways: dict[int, Ways | None] = {frame: at_home}
        # The ends of the trail so far, backwards and forwards: a frame and the one before it.
        self._ends: dict[int, tuple[int, int | None]] = {-1: (frame, None), 1: (frame, None)}

    def planes_at(self, wanted: Points) -> npt.NDArray[np.uint8]:
        """Return the plane on which each of ``wanted`` lies, (n,): that of the points round it.

        ``wanted`` (n, 2) are proxy pixels of the trail's own frame. Every tracked point votes,
        a near one with far more weight (Shepard, 1968).
        """
        labels = np.zeros(len(wanted), np.uint8)
        if self._start is None or len(self._start.start.points) == 0:
            return labels
        known, count = self._start.start, len(self._start.matrices)
        member = np.eye(count, dtype=np.float32)[known.planes]
        for begin in range(0, len(wanted) if count > 1 else 0, _AT_ONCE):
            part = wanted[begin : begin + _AT_ONCE]
            apart = ((part[:, None] - known.points[None]) ** 2).sum(axis=2)
            votes = (1.0 / np.square(apart + np.float32(_VOTE_PX**2))) @ member
            labels[begin : begin + _AT_ONCE] = votes.argmax(axis=1)
        return labels

    def from_frame(self, frame: int, plane: int) -> Matrix | None:
        """Return the matrix from ``frame`` to the trail's own frame by one of its planes.

        The dominant plane stands in for one that was lost. None beyond a cut, and for a
        frame that cannot be read.
        """
        self._extend(frame)
        ways = self._ways.get(frame)
        if ways is None:
            return None
        matrix = ways.matrices[plane] if plane < len(ways.matrices) else None
        if matrix is None:
            matrix = ways.matrices[0]
        return None if matrix is None else np.asarray(np.linalg.inv(matrix), np.float64)

    @property
    def is_single(self) -> bool:
        """Whether the trail's frame has one plane only."""
        return len(self._ways_at_home().matrices) == 1

    def _ways_at_home(self) -> Ways:
        ways = self._ways[self.frame]
        assert ways is not None
        return ways

    def _extend(self, frame: int) -> None:
        onward = 1 if frame > self.frame else -1
        while frame not in self._ways:
            self._go_on(onward)

    def _go_on(self, onward: int) -> None:
        """Follow to the next frame; a frame that cannot be read is gone past."""
        end, before = self._ends[onward]
        number = max(self._ways) + 1 if onward > 0 else min(self._ways) - 1
        self._ways[number] = None
        ways = self._ways[end]
        here, following = self._proxies.get(end), self._proxies.get(number)
        if ways is None or here is None or following is None:
            return
        step = self._motion.step(here, following)
        if step.is_cut:
            self._ends[onward] = (number, end)  # whose ways are None: nothing leads on
            return
        previous = self._proxies.get(before) if before is not None else None
        if previous is not None:
            links = self._motion.links(previous, here, following)
        else:
            links = self._first_links(step)
        self._ways[number] = ways.followed(step, links)
        self._ends[onward] = (number, end)

    def _first_links(self, step: Step) -> tuple[int | None, ...]:
        if self._start is None or self._start is step:
            return tuple(range(len(step.matrices)))
        return linked(self._start.start, step.start, len(self._ways_at_home().planes))

    def _numbering(self) -> Step | None:
        """Return the step that numbers the planes: to the next frame, else to the one before."""
        own = self._proxies.get(self.frame)
        if own is None:
            return None
        for number in (self.frame + 1, self.frame - 1):
            other: Proxy | None = self._proxies.get(number)
            if other is not None:
                step = self._motion.step(own, other)
                if not step.is_cut:
                    return step
        return None
