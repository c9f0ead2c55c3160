"""What a clean plate needs of whatever computes its pixels: one port for CPU and GPU.

The algorithm stays where it is; only operations that cost time are behind this port, each
with whole arrays of numpy in and out, so that any of them can be done again elsewhere when a
device runs out of memory. Implementations are in `devices`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from genai_fill_contract.plate import Window
from genai_fill_server.engines.cleanplate.encoding import Bytes, Floats
from genai_fill_server.engines.cleanplate.planes import Matrix
from genai_fill_server.engines.cleanplate.waves import Runner, one_by_one

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Source:
    """One frame that gives pixels to another.

    ``offset`` is its distance in frames. ``shift`` (h, w, 2: x, y) says for each pixel of the
    target's region how far away it lies on the source, in proxy pixels; ``gain`` returns log2
    of the factor from the source's light to the target's, (h/2, w/2, 3). ``pixels`` reads a
    window of the source (coordinates of the plate from 0): linear, finite (h, w, 3), and
    1 where nothing may be taken. ``width`` and ``height`` are the plate's. ``covered`` reads
    less: 1 where nothing may be taken because of the matte or because there is no picture.
    """

    offset: int
    shift: Floats
    gain: Callable[[], Floats]
    width: int
    height: int
    pixels: Callable[[Window], tuple[Floats, Bytes]]
    covered: Callable[[Window], Bytes] | None = None


@dataclass
class Gathered:
    """What sources gave for the pixels of a hole, (n, ...).

    ``encoded`` weighted sums of colours, colours after `normalise`; ``mass`` 0 where nothing
    was found; ``origin`` the source frame's offset from the target in frames.
    """

    encoded: Floats
    mass: Floats
    origin: Floats

    @classmethod
    def empty(cls, count: int) -> Gathered:
        """Return the state before any source was asked."""
        return cls(
            np.zeros((count, 3), np.float32),
            np.zeros(count, np.float32),
            np.zeros(count, np.float32),
        )

    def add(self, only: Mask, part: tuple[Floats, Mask], weight: Floats, offset: int) -> None:
        """Add the samples of one source for the pixels marked by ``only``."""
        encoded, found = part
        indices = np.flatnonzero(only)[found]
        own = weight[found]
        self.encoded[indices] += encoded[found] * own[:, None]
        heavier = own > self.mass[indices]
        self.origin[indices[heavier]] = offset
        self.mass[indices] += own

    def normalise(self) -> None:
        """Turn weighted sums into colours."""
        self.encoded /= np.maximum(self.mass, 1e-6)[:, None]
        np.minimum(self.mass, 1.0, out=self.mass)


class Device(Protocol):
    """The operations. May be called from several threads at once.

    The same call gives the same bits on the same device. Against the CPU results differ by
    rounding; how much is stated by the tests of parity.
    """

    @property
    def name(self) -> str:
        """What stands in the recipe: "cpu", "cuda:0"."""

    def reduced(self, image: Floats, factor: int) -> Floats:
        """Return means of ``factor`` x ``factor`` blocks of (h, w[, c]).

        At the right and bottom the edge is repeated to a whole block.
        """

    def warped(self, image: Bytes, matrix: Matrix, size: tuple[int, int]) -> Bytes:
        """Return ``image`` (h, w) seen from the first frame of ``matrix``, bilinear.

        ``size`` is (width, height) of the result; outside the image it is 0.
        """

    def followed(self, image: Floats | Bytes, place: Floats) -> Floats:
        """Read ``image`` (h, w[, c]) at ``place`` (..., 2: x, y), bilinear, edge repeated.

        Bytes come back as whole numbers.
        """

    def pull_push(self, values: Floats, weight: Floats) -> Floats:
        """Do what `diffusion.pull_push` does."""

    def membrane(self, values: Floats, weight: Floats, smoothing_px: int) -> Floats:
        """Do what `diffusion.membrane` does."""

    def apart(
        self, levels: Floats, usable: Mask, several: bool, run: Runner = one_by_one
    ) -> Floats:
        """Do what `weighing.apart` does: how far each source stands from what most say."""

    def weighed(self, price: Floats, planes: Sequence[int], run: Runner = one_by_one) -> Floats:
        """Do what `weighing.weighed` does: turn costs of sources into their weights."""

    def sampled(self, encoded: Floats, blocked: Bytes, place: Floats) -> tuple[Floats, Mask]:
        """Do what `transfer.sampled` does: Lanczos samples, and which of them exist."""

    def gather(
        self,
        sources: Sequence[Source],
        weights: Floats,
        places: tuple[Floats, Floats],
        factor: int,
        run: Runner,
    ) -> Gathered:
        """Fetch the pixels of a hole from its sources, as `transfer.gather` does.

        ``weights`` (n, h, w) says how much each source counts in the region; ``places`` (x,
        y) are those of the hole's pixels in it; ``factor`` is that of the proxies. ``run``
        may be used for what each source needs. What comes back is not yet normalised.
        """

    def release(self) -> None:
        """Give memory back to the system. Everything above still works afterwards."""
