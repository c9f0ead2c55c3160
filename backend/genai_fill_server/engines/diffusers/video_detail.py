"""Detail for windows of frames: a clip gone over at full size, in tiles, all frames at once.

A video model works at half a megapixel; enlarged, what it made is soft beside the plate. Each
tile is a clip of its own, cut out of all frames of the window at the same place, and starts
from what is there at low strength, as `refining` does for single frames. Frames that earlier
windows went over are kept and lead the others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from genai_fill_server.domain.temporal_windows import TemporalWindow
from genai_fill_server.engines.diffusers.picture import Fit, Sizing, image_from_model, is_hole
from genai_fill_server.engines.diffusers.refining import Tile, plan_tiles, refine
from genai_fill_server.engines.diffusers.shot_inputs import whole_patch
from genai_fill_server.engines.diffusers.window_chain import (
    GREY,
    Hole,
    Patch,
    cross_fade,
    match_to_kept,
)
from genai_fill_server.service.ports import FloatImage, Shot, Watch

MOST_BYTES = 12 * 2**30
"""Main memory for a window at full size; a machine for video models has several times that."""

_STACKS = 5
"""Copies of a window at full size that are held at once."""

Stack = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Clip:
    """What the model is given: ``video`` (f, h, w, 3), ``open_holes`` (f, h, w), padding and all.

    ``there`` is what a late start begins from.
    """

    video: Stack
    open_holes: npt.NDArray[np.bool_]
    references: list[FloatImage] = field(default_factory=list)
    there: Stack | None = None


def has_room(window: TemporalWindow, fit: Fit, watch: Watch) -> bool:
    """Whether a window at full size fits main memory; if not the artist is told."""
    needed = _STACKS * window.length * fit.crop[0] * fit.crop[1] * 3 * 4
    if needed <= MOST_BYTES:
        return True
    watch.log(
        f"Detail is left out: {window.length} frames of {fit.crop[1]} × {fit.crop[0]} px would "
        f"take {needed / 2**30:.0f} GB of main memory. Shorter windows or a smaller crop need less."
    )
    watch.note("detail", "left out for want of main memory")
    return False


@dataclass(frozen=True)
class Detail:
    """What is to be gone over of a window: the plates, their holes, the tiles over them."""

    shot: Shot
    window: TemporalWindow
    fit: Fit
    holes: dict[int, Hole]
    patches: Mapping[int, Patch]
    tiles: list[Tile]

    @classmethod
    def of(
        cls,
        shot: Shot,
        window: TemporalWindow,
        fit: Fit,
        fine: Mapping[int, FloatImage],
        approved: Collection[int],
        sizing: Sizing,
    ) -> Detail:
        """Return the detail of ``window``; frames in ``fine`` are there already."""
        holes = {frame: is_hole(shot.matte(frame)) for frame in window.frames}
        whole = {f: whole_patch(shot, f) for f in window.frames if f in approved}
        union = np.zeros(fit.crop, bool)
        for frame, hole in holes.items():
            if frame not in fine:
                union |= hole & ~whole[frame].covers if frame in whole else hole
        return cls(shot, window, fit, holes, whole, plan_tiles(union, sizing))

    def gone_over(
        self,
        made: Mapping[int, FloatImage],
        fine: Mapping[int, FloatImage],
        generate: Callable[[Clip, int], Stack],
    ) -> dict[int, FloatImage]:
        """Return the window's frames at full size, mixed over those in ``fine``.

        ``made`` are its frames at the model's size. ``generate`` makes a clip of a tile; it
        is given the tile's number.
        """
        frames = list(self.window.frames)
        soft = {frame: image_from_model(made[frame], self.fit) for frame in frames}
        canvas = np.stack([self._start(frame, soft[frame], fine) for frame in frames])
        open_holes = np.stack([self._still_open(frame, fine) for frame in frames])
        all_holes = np.stack([self.holes[frame] for frame in frames])
        places = [frames.index(frame) for frame in self.window.source_frames()]

        def tile(picture: FloatImage, inside: npt.NDArray[np.bool_], number: int) -> FloatImage:
            if not inside.any():
                return picture
            grey = np.where(inside[..., None], np.float32(GREY), picture)
            raw = generate(Clip(grey[places], inside[places], there=picture[places]), number)
            part = (slice(None), *self.tiles[number].slices)
            return match_to_kept(raw, picture, all_holes[part], inside).applied(raw)

        refined = refine(canvas, open_holes, self.tiles, tile)
        # Outside the hole the model's own picture stays: it shows how far its colours are off.
        pictures = [
            np.where(self.holes[frame][..., None], refined[place], soft[frame])
            for place, frame in enumerate(frames)
        ]
        return cross_fade(self.window, pictures, fine)

    def _start(self, frame: int, soft: FloatImage, fine: Mapping[int, FloatImage]) -> FloatImage:
        """Return what is there of a frame: the plate, and the fill in its hole."""
        plate = np.clip(np.nan_to_num(self.shot.plate(frame)), 0.0, 1.0)
        fill = fine.get(frame, soft)
        if frame in self.patches:
            patch = self.patches[frame]
            fill = np.where(patch.covers[..., None], patch.pixels, fill)
        return np.where(self.holes[frame][..., None], fill, plate).astype(np.float32)

    def _still_open(self, frame: int, fine: Mapping[int, FloatImage]) -> Hole:
        hole = self.holes[frame]
        if frame in fine:
            return np.zeros_like(hole)
        return hole & ~self.patches[frame].covers if frame in self.patches else hole
