"""Making the heroes of a take: on which frame, with what in the picture, blended how."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from genai_fill_contract.errors import GenerationFailed, InvalidOption
from genai_fill_server.domain.pixel_windows import finite_pixels, recut
from genai_fill_server.domain.seam import correct_seam
from genai_fill_server.engines.cleanplate.borrowing import Borrower
from genai_fill_server.engines.cleanplate.encoding import decode
from genai_fill_server.engines.cleanplate.proxies import hole_of
from genai_fill_server.engines.hero.description import AUTOMATIC, HeroOptions
from genai_fill_server.engines.hero.keeping import HeroStore
from genai_fill_server.engines.hero.progress import PartWatch
from genai_fill_server.engines.hero.shots import Hero, HeroShot, OneFrame
from genai_fill_server.service.ports import (
    Engine,
    EngineFrame,
    EngineJob,
    FloatImage,
    FloatMatte,
    Shot,
    Watch,
)

if TYPE_CHECKING:
    from concurrent.futures import Executor

Mask = npt.NDArray[np.bool_]

BLEND_PX = 8
"""How far a further hero fades into what was there before it."""

_LOOKED_AT = 48
_ENOUGH_SHARE = 0.01
_ENOUGH_COARSE_PX = 2
_AS_LARGE = 0.98


@dataclass(frozen=True)
class Maker:
    """What heroes are made with: the same for every take of a job."""

    shot: Shot
    image: Engine
    job: EngineJob
    options: HeroOptions
    store: HeroStore
    threads: Executor
    like: Borrower

    def heroes(self, take_index: int, watch: Watch, begin: float, share: float) -> dict[int, Hero]:
        """Return a take's heroes by frame, generating those that are not kept.

        ``begin`` and ``share`` say which part of the job's progress this is. Raises
        `InvalidOption`, and what the image engine raises.
        """
        made: dict[int, Hero] = {}
        for number in range(self.options.most_frames):
            watch.check()
            part = begin + share * (1.0 - 0.5**number), share * 0.5 ** (number + 1)
            hero = self.store.load(take_index, number)
            if hero is None:
                hero = self._next(made, take_index, watch, part)
                if hero is None:
                    break
                self.store.save(take_index, number, hero)
            made[hero.frame] = hero
        return made

    def _next(
        self, made: dict[int, Hero], take_index: int, watch: Watch, part: tuple[float, float]
    ) -> Hero | None:
        """Return one hero more, None when nothing worth it is left."""
        shot = HeroShot(self.shot, made)
        borrower = Borrower(shot, self.like.kit, watch, self.threads, self.like)
        have = tuple(filter(borrower.patches.holds, borrower.patches.frames))
        asked = self.options.frame
        if asked != AUTOMATIC and asked not in have and not made:
            frame: int | None = self._asked_frame(asked)
        elif not have:
            frame = self._fullest_frame(watch)
        else:
            frame = self._least_reached(borrower, have, watch)
        if frame is None:
            return None
        words = PartWatch(watch, f"Generating the hero frame {frame}", *part, take_index)
        words.progress("", 0, 1)
        composite, done, left = self._state(shot, borrower, frame, bool(have))
        if not (left > 0).any():
            return None
        return self._generated(frame, composite, done, left, take_index, words)

    def _asked_frame(self, frame: int) -> int:
        if frame not in self.shot.frames:
            raise InvalidOption(
                f"The hero frame {frame} is not in the frames {self.shot.frames} to fill.",
                hint="Choose a frame of the range, or -1 for an automatic choice.",
                option="hero_frame",
            )
        if not hole_of(self.shot.matte(frame)).any():
            raise InvalidOption(
                f"The matte is empty on the hero frame {frame}.",
                hint="Choose a frame on which there is something to fill, or -1.",
                option="hero_frame",
            )
        return frame

    def _sampled_frames(self) -> list[int]:
        """Return the frames looked at when choosing: all of a short shot, some of a long one."""
        frames = self.shot.frames
        step = max(1, -(-len(frames) // _LOOKED_AT))
        return [f for f in range(frames.first, frames.last + 1, step) if self.shot.has_frame(f)]

    def _fullest_frame(self, watch: Watch) -> int | None:
        """Return the frame with the most to fill; of like ones, the nearest to the middle."""
        areas: dict[int, int] = {}
        for frame in self._sampled_frames():
            watch.check()
            areas[frame] = int(hole_of(self.shot.matte(frame)).sum())
        most = max(areas.values(), default=0)
        if most == 0:
            return None
        middle = 0.5 * (self.shot.frames.first + self.shot.frames.last)
        alike = [frame for frame, area in areas.items() if area >= _AS_LARGE * most]
        return min(alike, key=lambda frame: (abs(frame - middle), frame))

    def _least_reached(self, borrower: Borrower, have: tuple[int, ...], watch: Watch) -> int | None:
        """Return the frame on which the heroes show least of what is to be filled."""
        worst, most = None, 0
        for frame in self._sampled_frames():
            watch.check()
            if frame in have:
                continue
            unseen, total = borrower.unseen(frame)
            if unseen > max(most, _ENOUGH_COARSE_PX, _ENOUGH_SHARE * total):
                worst, most = frame, unseen
        return worst

    def _state(
        self, shot: Shot, borrower: Borrower, frame: int, have: bool
    ) -> tuple[FloatImage, Mask, FloatMatte]:
        """Return the crop with what is carried there, where that is, and what is left to fill."""
        plate, matte = shot.plate(frame), shot.matte(frame)
        done = np.zeros(matte.shape, np.bool_)
        holes = borrower.holes(frame) if have else None
        borrowed = borrower.borrow(frame, holes) if holes is not None else None
        if borrowed is None:
            return plate, done, matte
        crop, whole = shot.window(frame), shot.plate_window
        rows = borrowed.holes.rows + (whole.y0 - crop.y0)
        columns = borrowed.holes.columns + (whole.x0 - crop.x0)
        plate[rows, columns] = decode(borrowed.encoded)
        done[rows, columns] = ~borrowed.missing
        left = hole_of(matte) & ~done
        return plate, done, faded(left, hole_of(matte))

    def _generated(
        self,
        frame: int,
        composite: FloatImage,
        done: Mask,
        left: FloatMatte,
        take_index: int,
        watch: Watch,
    ) -> Hero:
        base = self.shot.in_domain(self.image.description.domain)
        # A further hero is generated under its whole fade; the first as the matte itself is.
        asked = (left > 0).astype(np.float32) if done.any() else left
        one = OneFrame(base, frame, composite, done, asked)
        made = self._filled(one, frame, take_index, watch)
        crop = self.shot.window(frame)
        fill = recut(base.to_scene_linear(made.pixels), made.window, crop, outside=np.nan)
        usable = finite_pixels(fill)
        fill = np.where(usable[..., None], fill, composite)
        fill = correct_seam(fill, composite, asked)
        alpha = left if done.any() else hole_of(left).astype(np.float32)
        alpha = np.where(usable & finite_pixels(fill), alpha, np.float32(0.0))
        rgb = composite + alpha[..., None] * (fill - composite)
        rgb = np.where(alpha[..., None] > 0, rgb, composite)
        return Hero(frame, crop, rgb.astype(np.float32), alpha.astype(np.float32))

    def _filled(self, one: OneFrame, frame: int, take_index: int, watch: Watch) -> EngineFrame:
        self.image.prepare(watch)
        asked = EngineJob(
            seeds=(self.job.seeds[take_index],),
            prompt=self.job.prompt,
            negative_prompt=self.job.negative_prompt,
            options=self.options.image,
            done=(frozenset(),),
        )
        for made in _closing(self.image.fill(one, asked, watch)):
            if made.frame == frame and made.take_index == 0:
                return made
        raise GenerationFailed(
            f"The engine {self.image.description.label!r} made no hero frame {frame}.",
            hint="Choose another engine, or report this to whoever made it.",
            frame=frame,
        )


def faded(left: Mask, hole: Mask) -> FloatMatte:
    """Return 1 where something is left to fill, fading to 0 within the hole beside it."""
    if not left.any():
        return np.zeros(left.shape, np.float32)
    apart = cv2.distanceTransform((~left).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # The last bits of OpenCV's distances differ from call to call; their squares are whole.
    exact = np.sqrt(np.rint(np.square(apart.astype(np.float64))))
    alpha = np.clip(1.0 - exact / BLEND_PX, 0.0, 1.0)
    return np.where(hole, alpha, 0.0).astype(np.float32)


def _closing(frames: Iterator[EngineFrame]) -> Iterator[EngineFrame]:
    """Yield what an engine makes, and let it go of its memory when nobody wants more."""
    with contextlib.ExitStack() as stack:
        close = getattr(frames, "close", None)
        if close is not None:
            stack.callback(close)
        yield from frames
