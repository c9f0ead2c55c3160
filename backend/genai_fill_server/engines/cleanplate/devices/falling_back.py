"""A device that hands over to the CPU when it fails, in the middle of a job."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from genai_fill_server.engines.cleanplate.device import Device, Gathered, Mask, Source
from genai_fill_server.engines.cleanplate.encoding import Bytes, Floats
from genai_fill_server.engines.cleanplate.planes import Matrix
from genai_fill_server.engines.cleanplate.waves import Runner, one_by_one

T = TypeVar("T")


class DeviceGaveUp(Exception):
    """A device ran out of memory or failed; its operation has no result."""


class FallingBack:
    """Uses ``first`` until it gives up, and ``then`` from there to the end of the run.

    ``tell`` gets one line for the job's log. An operation that fails is done again as a
    whole, so nothing of a failed one is in the result.
    """

    def __init__(self, first: Device, then: Device, tell: Callable[[str], None]) -> None:
        self._first = first
        self._then = then
        self._tell = tell
        self._lock = threading.Lock()
        self._has_failed = False

    @property
    def name(self) -> str:
        """Both, once the first has given up."""
        if self._has_failed:
            return f"{self._first.name}, then {self._then.name}"
        return self._first.name

    def _done(self, operation: Callable[[Device], T]) -> T:
        if not self._has_failed:
            try:
                return operation(self._first)
            except DeviceGaveUp as error:
                self._give_up(error)
        return operation(self._then)

    def _give_up(self, error: DeviceGaveUp) -> None:
        with self._lock:
            if self._has_failed:
                return
            self._has_failed = True
        self._tell(
            f"The clean plate goes on with the CPU, since the device gave up ({error}). A smaller "
            "crop, or closing what else uses the device, may help the next job."
        )

    def reduced(self, image: Floats, factor: int) -> Floats:
        """Return means of blocks."""
        return self._done(lambda device: device.reduced(image, factor))

    def warped(self, image: Bytes, matrix: Matrix, size: tuple[int, int]) -> Bytes:
        """Return ``image`` seen from the first frame of ``matrix``."""
        return self._done(lambda device: device.warped(image, matrix, size))

    def followed(self, image: Floats | Bytes, place: Floats) -> Floats:
        """Read ``image`` at ``place``."""
        return self._done(lambda device: device.followed(image, place))

    def pull_push(self, values: Floats, weight: Floats) -> Floats:
        """Return completed ``values``."""
        return self._done(lambda device: device.pull_push(values, weight))

    def membrane(self, values: Floats, weight: Floats, smoothing_px: int) -> Floats:
        """Return a smooth surface."""
        return self._done(lambda device: device.membrane(values, weight, smoothing_px))

    def apart(
        self, levels: Floats, usable: Mask, several: bool, run: Runner = one_by_one
    ) -> Floats:
        """Return how far each source stands from what most say."""
        return self._done(lambda device: device.apart(levels, usable, several, run))

    def weighed(self, price: Floats, planes: Sequence[int], run: Runner = one_by_one) -> Floats:
        """Return the weights of sources."""
        return self._done(lambda device: device.weighed(price, planes, run))

    def sampled(self, encoded: Floats, blocked: Bytes, place: Floats) -> tuple[Floats, Mask]:
        """Return Lanczos samples."""
        return self._done(lambda device: device.sampled(encoded, blocked, place))

    def gather(
        self,
        sources: Sequence[Source],
        weights: Floats,
        places: tuple[Floats, Floats],
        factor: int,
        run: Runner,
    ) -> Gathered:
        """Return what the sources give."""
        return self._done(lambda device: device.gather(sources, weights, places, factor, run))

    def release(self) -> None:
        """Give the memory of both back."""
        self._first.release()
        self._then.release()
