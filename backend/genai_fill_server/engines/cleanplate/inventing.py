"""What no frame shows: invented once on a key frame, then carried by the shot's motion.

The shot is cut into blocks of fixed length, counted from its first frame, so that resuming
anywhere gives the same keys. The key of a block is the frame that misses most; where a cut
divides it, each side has one. Where only one side may be looked at, it is the first or last
that misses anything, so that none takes over what lies on the other. A key first takes over
what the key before it invented, so that the invention lasts through the shot.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from genai_fill_contract.plate import Window
from genai_fill_server.engines.cleanplate.alignment import Way, align
from genai_fill_server.engines.cleanplate.borders import Border, data_window
from genai_fill_server.engines.cleanplate.borrowing import Borrowed, Borrower, region_window
from genai_fill_server.engines.cleanplate.description import Detail, Direction
from genai_fill_server.engines.cleanplate.encoding import Floats, encode, without_broken
from genai_fill_server.engines.cleanplate.exemplar import synthesise
from genai_fill_server.engines.cleanplate.proxies import hole_of
from genai_fill_server.engines.cleanplate.transfer import parts, places_of, within_reason
from genai_fill_server.engines.cleanplate.waves import bands
from genai_fill_server.service.ports import Shot, Watch

Mask = npt.NDArray[np.bool_]

BLOCK_FRAMES = 16

LASTS_FRAMES = 64
"""A key further away than this is not followed: the way there drifts, and costs every frame
between. Where something is missing in every block, keys are much nearer than that."""

_CONTEXT_PX = 160
_ROUNDS = {Detail.DRAFT: 2, Detail.NORMAL: 3, Detail.FINE: 5}


@dataclass(frozen=True)
class Key:
    """A frame whose hole was completed: encoded pixels of ``window`` (plate from 0).

    ``invented`` marks what may be carried to other frames.
    """

    frame: int
    window: Window
    encoded: Floats
    invented: Mask


@dataclass(frozen=True)
class _Scene:
    """A hole's surroundings: encoded pixels of ``window`` (plate from 0), and what is unknown."""

    window: Window
    picture: Floats
    unknown: Mask


class Inventor:
    """Completes borrowed frames. One for each take: the seed decides what is invented."""

    def __init__(self, shot: Shot, watch: Watch, borrower: Borrower, seed: int) -> None:
        self._shot = shot
        self._kit = borrower.kit
        self._options = borrower.kit.options
        self._watch = watch
        self._borrower = borrower
        self._seed = seed
        self._keys: dict[int, tuple[Key, ...]] = {}
        self.black_frames: set[int] = set()
        """Frames for which there was nothing to borrow and nothing to copy from."""
        self.at: tuple[int, int] = (0, 1)
        """How many frames of how many are filled: what progress is told from."""

    def complete(self, borrowed: Borrowed) -> Floats:
        """Return encoded colours for all of a frame's hole, (n, 3)."""
        encoded = borrowed.encoded.copy()
        missing = borrowed.missing.copy()
        if not missing.any():
            return encoded
        keys = self.keys(self._block_of(borrowed.frame))
        for key in sorted(keys, key=lambda one: abs(one.frame - borrowed.frame)):
            if missing.any():
                self._carry(key, borrowed, encoded, missing)
        if missing.any():
            scene = self._scene(borrowed, encoded, missing)
            self._invent(borrowed, scene, encoded, missing)
        return encoded

    def _block_of(self, frame: int) -> int:
        return (frame - self._shot.frames.first) // BLOCK_FRAMES

    def keys(self, block: int) -> tuple[Key, ...]:
        """Return the keys of a block, making those before it first where they lead to it.

        Where it misses nothing they are those of the block before.
        """
        for number in range(self._first_needed(block), block + 1):
            if number not in self._keys:
                self._keys[number] = self._made(number, self._keys.get(number - 1, ()))
        for old in [number for number in self._keys if number < block - 1]:
            del self._keys[old]
        return self._keys[block]

    def _first_needed(self, block: int) -> int:
        """Return the first block whose key may have a part in that of ``block``.

        Nothing leads over so many blocks without a key that the next one is out of reach.
        """
        empty = 0
        start = block
        while start > 0 and start - 1 not in self._keys and empty < LASTS_FRAMES // BLOCK_FRAMES:
            start -= 1
            empty = 0 if self._key_frames(start) else empty + 1
        return start

    def _made(self, block: int, before: tuple[Key, ...]) -> tuple[Key, ...]:
        last, made = before[-1] if before else None, list[Key]()
        for frame in self._key_frames(block):
            key = self._completed(frame, last)
            if key is not None:
                last = key
                made.append(key)
        return tuple(made) or before

    def _completed(self, frame: int, before: Key | None) -> Key | None:
        """Return a frame as a key; None where nothing is known of it."""
        holes = self._borrower.holes(frame)
        if holes is None:
            return None
        self._watch.check()
        borrowed = self._borrower.borrow(frame, holes)
        if borrowed is None:
            return None
        self._borrower.hold(borrowed)
        encoded, missing = borrowed.encoded.copy(), borrowed.missing.copy()
        if before is not None and missing.any():
            self._carry(before, borrowed, encoded, missing)
        scene = self._scene(borrowed, encoded, missing)
        if scene.unknown.all():
            # Black is no invention that other frames should take over.
            return None
        window, picture = scene.window, scene.picture
        if missing.any():
            picture = self._invent(borrowed, scene, encoded, missing)
        invented = np.zeros(picture.shape[:2], np.bool_)
        rows, columns = borrowed.holes.rows - window.y0, borrowed.holes.columns - window.x0
        invented[rows, columns] = borrowed.missing
        return Key(frame, window, picture, invented)

    def _key_frames(self, block: int) -> list[int]:
        """Return the frame of a block that is to be its key, one for each side of a cut."""
        frames = self._shot.frames
        first = frames.first + block * BLOCK_FRAMES
        stretches: list[dict[int, int]] = []
        for frame in range(first, min(first + BLOCK_FRAMES - 1, frames.last) + 1):
            self._watch.check()
            unseen, _ = self._borrower.unseen(frame)
            if unseen == 0:
                continue
            if not stretches or self._borrower.chain(max(stretches[-1]), frame) is None:
                stretches.append({})
            stretches[-1][frame] = unseen
        return [self._key_of(stretch) for stretch in stretches]

    def _key_of(self, unseen: dict[int, int]) -> int:
        """Return which of the frames that miss something is the key."""
        direction = self._options.direction
        if direction is Direction.BOTH:
            return max(unseen, key=lambda frame: (unseen[frame], -frame))
        return min(unseen) if direction is Direction.BEFORE else max(unseen)

    def _carry(self, key: Key, borrowed: Borrowed, encoded: Floats, missing: Mask) -> None:
        """Fill what the key shows, in place."""
        if abs(key.frame - borrowed.frame) > LASTS_FRAMES:
            return
        factor = self._borrower.proxies.factor
        if key.frame == borrowed.frame:
            own = np.column_stack([borrowed.holes.columns, borrowed.holes.rows])[missing]
            place = own.astype(np.float32)
            gain = np.zeros((len(place), 3), np.float32)
        else:
            way = self._borrower.chain(borrowed.frame, key.frame)
            if way is None:
                return
            given = self._borrower.artist.place(borrowed.target, key.frame)
            alignment = align(borrowed.target, Way(*way, place=given), self._kit)
            if alignment is None:
                return
            place = places_of(alignment, borrowed.lookup, factor, missing)
            gain = borrowed.lookup.of_half().read(alignment.gain(), missing)
        offset = np.array([key.window.x0, key.window.y0], np.float32)
        # From a frame that may give no pixels only what was invented is taken over.
        closed = np.full_like(key.invented, not self._may_give(key, borrowed))
        self._borrower.border(key.frame, borrowed.target).close(closed, key.window)
        blocked = (closed & ~key.invented).view(np.uint8)
        sampled = partial(self._kit.device.sampled, key.encoded, blocked)
        pieces = self._borrower.parallel(
            [partial(sampled, place[part] - offset) for part in parts(len(place))]
        )
        colours, found = (np.concatenate(piece) for piece in zip(*pieces, strict=True))
        self._watch.check()
        colours = within_reason(colours, gain, found, self._borrower.parallel)
        indices = np.flatnonzero(missing)[found]
        encoded[indices] = colours[found]
        missing[indices] = False

    def _may_give(self, key: Key, borrowed: Borrowed) -> bool:
        """Whether a key is a frame that its pixels may be taken from."""
        away = key.frame - borrowed.frame
        return away == 0 or (
            abs(away) <= self._options.reach_frames and self._options.direction.looks(away)
        )

    def _scene(self, borrowed: Borrowed, encoded: Floats, missing: Mask) -> _Scene:
        """Return the surroundings of the hole with what is known in it, and what is not."""
        plate = self._shot.plate_window
        region = region_window(borrowed.target.region, self._borrower.proxies.factor, plate)
        window = borrowed.holes.box.grown(_CONTEXT_PX).union(region)
        window = window.intersection(Window(0, 0, plate.width, plate.height))
        at = window.shifted(plate.x0, plate.y0)
        self._watch.check()
        pixels, broken = without_broken(self._shot.plate(borrowed.frame, at))
        self._watch.check()
        unknown = hole_of(self._shot.matte(borrowed.frame, at))
        if broken is not None:
            unknown |= broken
        picture = np.empty_like(pixels)

        def encode_band(rows: slice) -> None:
            picture[rows] = encode(pixels[rows])

        self._borrower.parallel([partial(encode_band, rows) for rows in bands(len(picture))])
        rows, columns = borrowed.holes.rows - window.y0, borrowed.holes.columns - window.x0
        picture[rows, columns] = encoded
        unknown[rows, columns] = missing
        data, empty = data_window(self._shot, borrowed.frame), borrowed.target.proxy.empty
        Border(data, empty, self._borrower.proxies.factor).close(unknown, window)
        return _Scene(window, picture, unknown)

    def _invent(self, borrowed: Borrowed, scene: _Scene, encoded: Floats, missing: Mask) -> Floats:
        """Invent what is missing, in place; return the whole picture round it."""
        picture, unknown = scene.picture, scene.unknown
        hole = np.zeros(unknown.shape, np.bool_)
        rows = (borrowed.holes.rows - scene.window.y0)[missing]
        columns = (borrowed.holes.columns - scene.window.x0)[missing]
        hole[rows, columns] = True
        self._watch.check()
        if unknown.all():
            self.black_frames.add(borrowed.frame)
        if self._options.exemplar:
            rounds = _ROUNDS[self._options.detail]
            run, told = self._borrower.parallel, partial(self._tell, borrowed.frame)
            picture = synthesise(
                picture, hole, unknown, self._seed, rounds, self._watch, run, told=told
            )
        else:
            known = (~unknown).astype(np.float32)
            smooth = self._kit.device.pull_push(picture, known)
            picture = np.where(hole[..., None], smooth, picture)
        picture = np.ascontiguousarray(picture, np.float32)
        encoded[missing] = picture[rows, columns]
        missing[:] = False
        return picture

    def _tell(self, frame: int, share: float) -> None:
        """Tell how far inventing is: it is most of the work on the frame being filled."""
        self._watch.progress(f"Inventing on frame {frame}", self.at[0] + 0.9 * share, self.at[1])
