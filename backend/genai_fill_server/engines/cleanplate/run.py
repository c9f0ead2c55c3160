"""One job of the clean-plate engine: its caches, its threads, its counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType

import cv2
import numpy as np
import numpy.typing as npt

from genai_fill_server.engines.cleanplate.borrowing import Borrowed, Borrower
from genai_fill_server.engines.cleanplate.description import Direction
from genai_fill_server.engines.cleanplate.encoding import Floats, decode
from genai_fill_server.engines.cleanplate.heap import giver_back
from genai_fill_server.engines.cleanplate.inventing import BLOCK_FRAMES, Inventor
from genai_fill_server.engines.cleanplate.kit import Kit
from genai_fill_server.engines.cleanplate.tally import Counted, Tally
from genai_fill_server.engines.cleanplate.transfer import parts
from genai_fill_server.service.ports import FloatImage, Shot, Watch

Layers = dict[str, Floats]
Places = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Rows and columns of the pixels of a hole, (n,) each."""

TIDY_FRAMES = 4
"""After how many frames freed memory is given back to the system."""

_LISTED_FRAMES = 12


def warm_up() -> None:
    """Load the compiled kernels by calling each once on next to nothing."""
    from genai_fill_server.engines.cleanplate.exemplar import synthesise
    from genai_fill_server.engines.cleanplate.transfer import sampled

    class _Nobody:
        def check(self) -> None: ...

        def progress(self, phase: str, done: float, total: float) -> None: ...

        def log(self, message: str) -> None: ...

        def note(self, key: str, value: object) -> None: ...

        def preview(self, take_index: int, frame: int, rgb: FloatImage) -> None: ...

    picture = np.zeros((32, 32, 3), np.float32)
    hole = np.zeros((32, 32), np.bool_)
    sampled(picture, hole.astype(np.uint8), np.full((1, 2), 8.0, np.float32))
    hole[12:16, 12:16] = True
    synthesise(picture, hole, hole, 0, 1, _Nobody())


class ShotRun:
    """Fills frames of a shot in any order; what it gives for one never depends on others."""

    def __init__(
        self,
        shot: Shot,
        kit: Kit,
        seeds: Sequence[int],
        watch: Watch,
        threads: int,
        like: Borrower | None = None,
        tally: Tally | None = None,
    ) -> None:
        """Fill frames of ``shot``; what is made of them goes into ``tally``."""
        # One thread inside OpenCV: its flow cuts pictures into one stripe a thread, so the
        # result would depend on the machine. Sources run beside each other instead.
        cv2.setNumThreads(1)
        self._shot = shot
        self._kit = kit
        self._options = kit.options
        self._watch = watch
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="cleanplate")
        self._borrower = Borrower(shot, kit, watch, self._pool, like)
        self._inventors = [Inventor(shot, watch, self._borrower, seed) for seed in seeds]
        self._tally = tally or Tally()
        self._frames = 0
        self._give_back = giver_back()

    def __enter__(self) -> ShotRun:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._borrower.forget_threads()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def frame(self, frame: int, takes: Sequence[int]) -> Iterator[tuple[int, Floats, Layers]]:
        """Yield (take, pixels of the crop, layers) of one frame for each of ``takes``."""
        if not takes:
            return
        self._expect(frame)
        holes = self._borrower.holes(frame)
        plate = self._shot.plate(frame)
        borrowed = self._borrower.borrow(frame, holes) if holes is not None else None
        self._frames += 1
        if self._frames % TIDY_FRAMES == 0:
            self._give_back()
        self._borrower.motion.forget_before(frame - self._options.reach_frames - 64)
        for take in takes:
            if borrowed is None:
                self._tally.note(frame, Counted(0))
                yield take, plate.copy(), self._layers(frame, None, plate.shape[:2])
                continue
            self._inventors[take].at = (frame - self._shot.frames.first, len(self._shot.frames))
            encoded = self._inventors[take].complete(borrowed)
            self._watch.check()
            self._tally.note(frame, self._counted(borrowed))
            pixels = plate.copy()
            self._put(pixels, self._in_crop(frame, borrowed), encoded)
            yield take, pixels, self._layers(frame, borrowed, plate.shape[:2])

    def _counted(self, borrowed: Borrowed) -> Counted:
        return Counted(
            len(borrowed.holes),
            int(borrowed.missing.sum()),
            int(borrowed.patched.sum()),
            any(borrowed.frame in one.black_frames for one in self._inventors),
        )

    def _expect(self, frame: int) -> None:
        """Have the small versions begun with that the block of ``frame`` will need."""
        if self._options.direction is Direction.BEFORE:
            return
        frames, reach = self._shot.frames, self._shot.reach
        block = (frame - frames.first) // BLOCK_FRAMES
        last = min(frames.first + (block + 1) * BLOCK_FRAMES - 1, frames.last)
        last = min(last + self._options.reach_frames, reach.last)
        self._borrower.proxies.expect(range(frame, last + 1))

    def _put(self, pixels: Floats, at: Places, encoded: Floats) -> None:
        """Put the encoded colours (n, 3) of a hole into the plate, in linear light."""
        rows, columns = at

        def put(part: slice) -> None:
            pixels[rows[part], columns[part]] = decode(encoded[part])

        self._borrower.parallel([partial(put, part) for part in parts(len(encoded))])

    def _in_crop(self, frame: int, borrowed: Borrowed) -> Places:
        plate, window = self._shot.plate_window, self._shot.window(frame)
        rows = borrowed.holes.rows + (plate.y0 - window.y0)
        return rows, borrowed.holes.columns + (plate.x0 - window.x0)

    def _layers(self, frame: int, borrowed: Borrowed | None, shape: tuple[int, ...]) -> Layers:
        if not self._options.report_layers:
            return {}
        names = ("origin", "invented", "confidence")
        layers = {name: np.zeros(shape, np.float32) for name in names}
        if borrowed is not None:
            at = self._in_crop(frame, borrowed)
            layers["origin"][at] = borrowed.origin
            layers["invented"][at] = borrowed.missing.astype(np.float32)
            layers["confidence"][at] = borrowed.confidence
        return layers

    def _tell_black(self) -> None:
        """Tell which frames came out black because nothing is known of them."""
        black = self._tally.black()
        if not black:
            return
        listed = ", ".join(str(frame) for frame in black[:_LISTED_FRAMES])
        more = f" and {len(black) - _LISTED_FRAMES} more" if len(black) > _LISTED_FRAMES else ""
        self._watch.log(
            f"Black inside the matte, frames {listed}{more}: the matte covers all of the picture "
            "there, and no frame in reach shows any of it. Make the matte smaller, let a "
            "neighbouring frame show the background, raise the reach, or give a patch."
        )

    def report(self) -> dict[str, str | float | int]:
        """Return what the recipe says: the means, and how much is real, patched, invented.

        Of all frames of the job, also those that an earlier run of it made. What was left
        black is told in the job's log.
        """
        self._tell_black()
        used = {"device": self._kit.device.name, "flow": self._kit.flow.name}
        return {**used, **self._tally.facts(self._shot.frames)}
