"""The sources of a target, each where the target sees it: by planes, and by depth where needed.

Planes are exact and cheap. Where they leave something in the picture unexplained, things stand
at more depths than there are planes; then depth, measured once for all targets, leads further.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from genai_fill_server.engines.cleanplate.alignment import (
    Alignment,
    Target,
    Way,
    align,
    unexplained,
)
from genai_fill_server.engines.cleanplate.artist_motion import ArtistMotion
from genai_fill_server.engines.cleanplate.choice import Candidate, spread_frames
from genai_fill_server.engines.cleanplate.depth_way import (
    Seen,
    align_by_depth,
    on_one_scale,
    stands_still,
    told_by,
)
from genai_fill_server.engines.cleanplate.description import Motion
from genai_fill_server.engines.cleanplate.encoding import Floats
from genai_fill_server.engines.cleanplate.frame_depth import FrameDepths
from genai_fill_server.engines.cleanplate.kit import Kit
from genai_fill_server.engines.cleanplate.waves import Runner

_ASKED = 3
"""So many of the farthest sources tell whether planes explain the shot: things have moved most."""


@dataclass(frozen=True)
class Aligner:
    """Aligns sources. ``run`` shares the work out; ``artist`` may know where pixels are."""

    kit: Kit
    artist: ArtistMotion
    depths: FrameDepths
    run: Runner

    def aligned(
        self, target: Target, candidates: Sequence[Candidate], chosen: Sequence[int]
    ) -> list[Alignment]:
        """Return the ``chosen`` of ``candidates``, nearest first, as the target sees them.

        Where planes do not explain the picture, more are among them, aligned by depth; the
        nearer of those chosen then come by the main plane alone.
        """
        given = {i: self.artist.place(target, candidates[i].proxy.frame) for i in chosen}
        if self.kit.options.motion is not Motion.DENSE or any(
            place is not None for place in given.values()
        ):
            return self._by_planes(target, [(candidates[i], given[i]) for i in chosen])
        near = [(candidates[i], None) for i in chosen[:-_ASKED]]
        found = self._by_planes(target, [(candidates[i], None) for i in chosen[-_ASKED:]])
        is_open = unexplained(target, found)
        if not is_open:
            found, near = [*self._by_planes(target, near), *found], []
            is_open = unexplained(target, found)
        if not is_open:
            return found
        more = spread_frames(target.proxy.frame, candidates, chosen)
        deep = self._by_depth(target, candidates, [*chosen, *more])
        told = {one.frame for one in deep}
        beside = [candidates[i] for i in more]
        there = {one.proxy.frame for one in candidates}
        rest = [
            (one, None) for one in beside if self.depths.nearest(one.proxy.frame, there) not in told
        ]
        by_planes = self._by_planes(target, near, main_only=bool(deep))
        return [*by_planes, *found, *self._by_planes(target, rest), *deep]

    def _by_planes(
        self,
        target: Target,
        sources: Sequence[tuple[Candidate, Floats | None]],
        main_only: bool = False,
    ) -> list[Alignment]:
        """Return alignments by each plane of the sources, or by what the artist gives of them."""
        ways = [
            Way(source.proxy, matrix, plane, alone=len(source.matrices) == 1, place=place)
            for source, place in sources
            for plane, matrix in enumerate(source.matrices[: 1 if main_only else None])
            if matrix is not None
        ]
        jobs = [partial(align, target, way, self.kit) for way in ways]
        return [one for one in self.run(jobs) if one is not None]

    def _by_depth(
        self, target: Target, candidates: Sequence[Candidate], chosen: Sequence[int]
    ) -> list[Alignment]:
        """Return alignments by depth of frames at or beside the chosen, where they can be made."""
        by_frame = {c.proxy.frame: Seen(c.proxy, c.main) for c in candidates}
        near = (self.depths.nearest(candidates[index].proxy.frame, by_frame) for index in chosen)
        frames = list(dict.fromkeys(near))
        if stands_still(target, [by_frame[frame] for frame in frames]):
            return []
        places = self.depths.followed(target.proxy.frame, frames, self.run)
        led = [
            (by_frame[frame], place)
            for frame, place in zip(frames, places, strict=True)
            if place is not None
        ]
        depths = self.depths.of([source.proxy for source, _ in led], self.run)
        jobs = [
            partial(told_by, target, source, depth, place, self.kit)
            for (source, place), depth in zip(led, depths, strict=True)
            if depth is not None
        ]
        told = [one for one in self.run(jobs) if one is not None]
        scaled = on_one_scale(told, self.run)
        found = self.run([partial(align_by_depth, target, one, self.kit) for one in scaled])
        return [one for one in found if one is not None]
