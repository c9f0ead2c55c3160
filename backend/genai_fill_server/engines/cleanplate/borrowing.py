"""One frame filled with what other frames show. Depends on the shot alone, on no other fill."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from genai_fill_contract.plate import FrameRange, Window
from genai_fill_server.engines.cleanplate.aligning import Aligner
from genai_fill_server.engines.cleanplate.alignment import Alignment, Target
from genai_fill_server.engines.cleanplate.artist_motion import ArtistMotion, camera_motion
from genai_fill_server.engines.cleanplate.borders import Border, bars, data_window, outside
from genai_fill_server.engines.cleanplate.choice import (
    Candidate,
    best_frames,
    coarse_hole,
    coverage,
    coverage_of_planes,
)
from genai_fill_server.engines.cleanplate.description import Detail, Direction
from genai_fill_server.engines.cleanplate.device import Gathered
from genai_fill_server.engines.cleanplate.encoding import Floats
from genai_fill_server.engines.cleanplate.frame_depth import FrameDepths
from genai_fill_server.engines.cleanplate.kit import Kit
from genai_fill_server.engines.cleanplate.motion import Step, Ways
from genai_fill_server.engines.cleanplate.patches import Patches
from genai_fill_server.engines.cleanplate.planes import Matrix, identity
from genai_fill_server.engines.cleanplate.proxies import Proxies, Proxy, hole_of
from genai_fill_server.engines.cleanplate.region import Region, bounds, region_round
from genai_fill_server.engines.cleanplate.transfer import Holes, Lookup, source_of
from genai_fill_server.engines.cleanplate.weighing import choose
from genai_fill_server.service.ports import Shot, Watch

Mask = npt.NDArray[np.bool_]
T = TypeVar("T")

PROXIES_BESIDE_REACH = 24
"""How many proxies are kept beside those in reach of a frame: a block of keys, and some."""

_STEPS_AHEAD = 4
_SOURCES = {Detail.DRAFT: 4, Detail.NORMAL: 7, Detail.FINE: 10}


@dataclass(frozen=True)
class Borrowed:
    """A frame's hole and what was found for it; arrays run over ``holes``.

    ``missing`` marks pixels that no frame in reach shows, ``patched`` those that are a
    patch's rather than the plate's. ``confidence`` is 0 to 1.
    """

    frame: int
    holes: Holes
    target: Target
    lookup: Lookup
    encoded: Floats
    missing: Mask
    origin: Floats
    confidence: Floats
    patched: Mask


class Borrower:
    """Fills frames of one shot from its other frames."""

    def __init__(
        self,
        shot: Shot,
        kit: Kit,
        watch: Watch,
        threads: Executor,
        like: Borrower | None = None,
    ) -> None:
        """Borrow for ``shot``; what depends on its plate and matte alone is shared with ``like``.

        ``like`` is for a shot that differs in its patches only.
        """
        self._shot = shot
        self.kit = kit
        self._options = options = kit.options
        self._watch = watch
        self._threads = threads
        if like is None:
            capacity = 2 * options.reach_frames + PROXIES_BESIDE_REACH
            self.proxies = Proxies(shot, watch, kit.device, capacity)
            self.artist = ArtistMotion(shot, self.proxies)
            self.motion = camera_motion(options.motion, self.artist)
        else:
            self.proxies, self.artist, self.motion = like.proxies, like.artist, like.motion
        self.patches = Patches(shot, kit, watch, self.proxies, self.motion, self.artist)
        in_reach = min(len(shot.reach), 2 * options.reach_frames + 1)
        depths = FrameDepths(kit, self.chain, shot.reach.first, in_reach)
        self._aligner = Aligner(kit, self.artist, depths, self.parallel)
        self._unseen: dict[int, tuple[int, int]] = {}
        self._last: Borrowed | None = None
        self._held: Borrowed | None = None

    def holes(self, frame: int) -> Holes | None:
        """Return the pixels to fill in the crop of ``frame``, None when there are none."""
        found = self._hole(frame)
        if found is None:
            return None
        hole, box = found
        rows, columns = np.nonzero(hole)
        return Holes(rows + box.y0, columns + box.x0, box)

    def _hole(self, frame: int) -> tuple[Mask, Window] | None:
        """Return the hole in the crop of ``frame``, and the window round it that it fills."""
        plate = self._shot.plate_window
        window = self._shot.window(frame).intersection(plate)
        if window.is_empty:
            return None
        hole = hole_of(self._shot.matte(frame, window))
        box = bounds(hole)
        if box is None:
            return None
        inside = hole[box.y0 : box.y1, box.x0 : box.x1]
        return inside, box.shifted(window.x0 - plate.x0, window.y0 - plate.y0)

    def _region(self, box: Window) -> Region:
        factor = self.proxies.factor
        small = Window(
            box.x0 // factor, box.y0 // factor, -(-box.x1 // factor), -(-box.y1 // factor)
        )
        return region_round(small, self.proxies.width, self.proxies.height)

    def target(self, proxy: Proxy, holes: Holes) -> Target:
        """Return the target for a frame's holes."""
        return Target.of(proxy, self._region(holes.box))

    def chain(self, frame: int, last: int) -> tuple[Proxy, Matrix] | None:
        """Return the proxy of frame ``last`` and the main plane's way to it, None over a cut."""
        for candidate in self._along(frame, last):
            if candidate.proxy.frame == last:
                return candidate.proxy, candidate.main
        return None

    def _along(self, frame: int, last: int) -> Iterator[Candidate]:
        """Yield the readable frames after ``frame`` up to ``last``, stopping at a cut.

        Each has a matrix for every plane of the target that could be followed to it.
        """
        here = self.proxies.get(frame)
        if here is None:
            return
        ways = self._first_planes(here)
        step_back: Proxy | None = None
        onward = 1 if last > frame else -1
        for number in range(frame + onward, last + onward, onward):
            self.proxies.look_ahead(range(number, last + onward, onward), self._threads)
            self._begin_steps(number - onward, last, onward)
            following = self.proxies.get(number)
            if following is None:
                continue
            step = self.motion.step(here, following)
            if step.is_cut:
                break
            if step_back is None:
                links = self._links_from(here, following, step)
            else:
                links = self.motion.links(step_back, here, following)
            ways = ways.followed(step, links)
            yield Candidate(following, ways.matrices)
            step_back, here = here, following

    def _begin_steps(self, frame: int, last: int, onward: int) -> None:
        """Begin with the next steps from ``frame`` towards ``last``, as far as proxies are made."""
        for here in range(frame, last, onward)[:_STEPS_AHEAD]:
            hop = min(here, here + onward), max(here, here + onward)
            if self.motion.is_begun(*hop):
                continue
            first, second = (self.proxies.soon(number) for number in hop)
            if first is None or second is None:
                return
            self.motion.begin(hop, first, second, self._threads)

    def forget_threads(self) -> None:
        """Begin with nothing more on threads that are about to end."""
        self.proxies.forget_threads()
        self.motion.forget_threads()

    def _first_planes(self, proxy: Proxy) -> Ways:
        """Return the planes of a target before any step, numbered as the next step has them."""
        first = self._first_neighbour(proxy)
        count = 1 if first is None else len(self.motion.step(proxy, first).matrices)
        return Ways(tuple(identity() for _ in range(count)), tuple(range(count)))

    def _first_neighbour(self, proxy: Proxy) -> Proxy | None:
        """Return the next frame, else the one before, None at neither: it numbers the planes."""
        for number in (proxy.frame + 1, proxy.frame - 1):
            other = self.proxies.get(number)
            if other is not None and not self.motion.step(proxy, other).is_cut:
                return other
        return None

    def _links_from(self, proxy: Proxy, following: Proxy, step: Step) -> tuple[int | None, ...]:
        first = self._first_neighbour(proxy)
        if first is None or first.frame == following.frame:
            return tuple(range(len(step.matrices)))
        return self.motion.turned(first, proxy, following)

    def candidates(self, frame: int) -> list[Candidate]:
        """Return the frames that may give pixels to ``frame``, nearest first."""
        reach: FrameRange = self._shot.reach
        options = self._options
        found: list[Candidate] = []
        if options.direction is not Direction.AFTER:
            found += self._along(frame, max(reach.first, frame - options.reach_frames))
        if options.direction is not Direction.BEFORE:
            found += self._along(frame, min(reach.last, frame + options.reach_frames))
        return sorted(found, key=lambda c: (abs(c.proxy.frame - frame), c.proxy.frame))

    def unseen(self, frame: int) -> tuple[int, int]:
        """Return (unseen, all) pixels of the hole on a coarse grid, by camera motion alone.

        Once known of a frame this costs nothing, and `borrow` comes to know it.
        """
        if frame not in self._unseen:
            found, proxy = self._hole(frame), self.proxies.get(frame)
            if found is None or proxy is None:
                self._unseen[frame] = 0, 0
            else:
                region = self._region(found[1])
                hole = coarse_hole(proxy.hole[region.rows_and_columns])
                shown = [coverage(region, hole, other) for other in self.candidates(frame)]
                self._note_unseen(frame, region, hole, shown)
        return self._unseen[frame]

    def _note_unseen(self, frame: int, region: Region, hole: Mask, shown: Sequence[Mask]) -> None:
        seen = self.patches.coverage(frame, region, hole)
        for mask in shown:
            seen |= mask
        self._unseen[frame] = int((~seen).sum()), len(seen)

    def borrow(self, frame: int, holes: Holes) -> Borrowed | None:
        """Fill what other frames show. None when the frame itself cannot be read."""
        for known in (self._last, self._held):
            if known is not None and known.frame == frame:
                return known
        self._last = self._borrowed(frame, holes)
        return self._last

    def hold(self, borrowed: Borrowed) -> None:
        """Keep what was borrowed for a frame that is come back to, in place of the one before."""
        self._held = borrowed

    def _borrowed(self, frame: int, holes: Holes) -> Borrowed | None:
        proxy = self.proxies.get(frame)
        if proxy is None:
            return None
        target = self.target(proxy, holes)
        lookup = Lookup.of(holes, target.region, self.proxies.factor)
        patched = self.patches.over(target, holes, lookup)
        aligned = [] if patched.is_whole else self._aligned(target, self.candidates(frame))
        # While this frame's pixels are fetched, the proxy that the next one needs is made.
        after = self._options.direction is not Direction.BEFORE
        ahead = frame + 1 + (self._options.reach_frames if after else 0)
        ahead = min(ahead, self._shot.reach.last)
        self.proxies.look_ahead((ahead,), self._threads)
        self._begin_steps(ahead - 1, ahead, 1)
        gathered = self._gathered(target, aligned, lookup)
        missing = gathered.mass <= 0.0
        gathered.normalise()
        # Beyond the frame's own data window the plate is black, and so is what stands in for it.
        beyond = outside(data_window(self._shot, frame), holes.rows, holes.columns)
        gathered.encoded[beyond] = 0.0
        missing &= ~beyond
        patched.lay_over(gathered.encoded, missing, gathered.origin)
        confidence = self._confidence(aligned, lookup, missing)
        return Borrowed(
            frame,
            holes,
            target,
            lookup,
            gathered.encoded,
            missing,
            gathered.origin,
            confidence,
            np.asarray(patched.cover > 0.5, np.bool_),
        )

    def _aligned(self, target: Target, candidates: list[Candidate]) -> list[Alignment]:
        hole = coarse_hole(target.hole)
        shown = [coverage_of_planes(target.region, hole, one) for one in candidates]
        count = int(hole.sum())
        self._note_unseen(target.proxy.frame, target.region, hole, [mask[:count] for mask in shown])
        limit = _SOURCES[self._options.detail]
        chosen = best_frames(target.proxy.frame, candidates, shown, limit)
        return self._aligner.aligned(target, candidates, chosen)

    def _gathered(self, target: Target, aligned: Sequence[Alignment], lookup: Lookup) -> Gathered:
        if not aligned:
            return Gathered.empty(len(lookup.x))
        self._watch.check()
        device = self.kit.device
        weights = choose(target, aligned, device, self.parallel)
        sources = [
            source_of(self._shot, one, target.proxy.frame, self.border(one.frame, target))
            for one in aligned
        ]
        places = (lookup.x, lookup.y)
        return device.gather(sources, weights, places, self.proxies.factor, self.parallel)

    def border(self, frame: int, target: Target) -> Border:
        """Return where a frame is no picture.

        Where the target has black bars along its edges, as of a letterbox, black belongs there.
        """
        proxy = self.proxies.get(frame)
        empty = None if proxy is None else proxy.empty
        if empty is not None and target.proxy.empty is not None:
            empty = empty & ~bars(target.proxy.empty, target.proxy.hole)
        return Border(data_window(self._shot, frame), empty, self.proxies.factor)

    def parallel(self, jobs: Sequence[Callable[[], T]]) -> list[T]:
        """Run jobs on the pool; results in order. Cancels between results."""
        futures = [self._threads.submit(job) for job in jobs]
        results: list[T] = []
        try:
            for future in futures:
                results.append(future.result())
                self._watch.check()
        finally:
            for future in futures:
                future.cancel()
        return results

    def _confidence(self, aligned: Sequence[Alignment], lookup: Lookup, missing: Mask) -> Floats:
        if not aligned or not self._options.report_layers:
            return np.where(missing, 0.0, 1.0).astype(np.float32)
        best = np.min([np.where(a.usable, a.error, 4.0) for a in aligned], axis=0)
        read = lookup.read(np.asarray(best, np.float32))
        return np.where(missing, 0.0, np.exp2(-4.0 * read)).astype(np.float32)


def region_window(region: Region, factor: int, plate: Window) -> Window:
    """Return the full-size pixels of a region, in the plate's own coordinates from 0."""
    return Window(
        region.x0 * factor, region.y0 * factor, region.x1 * factor, region.y1 * factor
    ).intersection(Window(0, 0, plate.width, plate.height))
