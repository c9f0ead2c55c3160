"""Painted and approved frames, carried through the shot in place of what would be found.

A patch is a frame with an alpha: where that is not 0, its picture holds. On its own frame it
is taken as it is; on others each part of it is brought there by the motion of the plane that
part lies on, with the light of the frame it comes to. Between two patches the nearer one
shows, with a dissolve half-way; what neither shows the next nearest may.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np
import numpy.typing as npt

from genai_fill_contract.plate import InputRole, Window
from genai_fill_server.engines.cleanplate.alignment import Target, Way, align
from genai_fill_server.engines.cleanplate.artist_motion import ArtistMotion
from genai_fill_server.engines.cleanplate.encoding import Floats
from genai_fill_server.engines.cleanplate.kit import Kit
from genai_fill_server.engines.cleanplate.motion import CameraMotion, warped
from genai_fill_server.engines.cleanplate.planes import Points, moved
from genai_fill_server.engines.cleanplate.proxies import Proxies, hole_of
from genai_fill_server.engines.cleanplate.region import Region, bounds
from genai_fill_server.engines.cleanplate.trails import Trail
from genai_fill_server.engines.cleanplate.transfer import (
    Holes,
    Lookup,
    brightened,
    in_both_lights,
    places_of,
)
from genai_fill_server.service.ports import Shot, Watch

Mask = npt.NDArray[np.bool_]

DISSOLVE_FRAMES = 12
"""Over at most how many frames, half-way between two patches, one goes over into the other."""

_A_SIDE = 2
_KEPT_PICTURES = 2 * _A_SIDE
_MARGIN_PX = 8
_COARSE_STEP = 4
_LEAST_SHARE = 0.02


@dataclass(frozen=True)
class Patch:
    """One patch: linear ``pixels`` of ``window`` (plate from 0), and where they hold.

    ``weight`` is 0 to 1, ``blocked`` marks pixels that are neither patch nor background.
    ``shown`` is the weight at the proxies' size as bytes. ``planes`` maps the numbers of the
    planes on which it lies to the share (h, w of the proxies, 0 to 1) that each has of a pixel;
    a patch of one plane has it everywhere and no map.
    """

    frame: int
    window: Window
    pixels: Floats
    weight: Floats
    blocked: npt.NDArray[np.uint8]
    shown: npt.NDArray[np.uint8]
    planes: Mapping[int, Floats | None]


@dataclass
class Patched:
    """What patches give for a hole: colours (n, 3) encoded, cover (n,) 0 to 1, origin (n,)."""

    encoded: Floats
    cover: Floats
    origin: Floats

    @classmethod
    def nothing(cls, count: int) -> Patched:
        """Return what no patch gives."""
        return cls(
            np.zeros((count, 3), np.float32),
            np.zeros(count, np.float32),
            np.zeros(count, np.float32),
        )

    @property
    def is_whole(self) -> bool:
        """Whether the patches fill the hole altogether."""
        return bool((self.cover >= 1.0).all())

    def put_under(self, encoded: Floats, weight: Floats, offset: int) -> None:
        """Let another source show where this does not, as far as its ``weight`` goes."""
        share = (1.0 - self.cover) * weight
        total = self.cover + share
        part = (share / np.maximum(total, 1e-6))[:, None]
        self.encoded += part * (encoded - self.encoded)
        self.origin = np.where(share > self.cover, np.float32(offset), self.origin)
        self.cover = np.asarray(total, np.float32)

    def lay_over(self, encoded: Floats, missing: Mask, origin: Floats) -> None:
        """Put the patches over what was found otherwise, in place."""
        if not self.cover.any():
            return
        cover = np.where(missing & (self.cover > 0.0), np.float32(1.0), self.cover)
        encoded += cover[:, None] * (self.encoded - encoded)
        origin[:] = np.where(cover > 0.5, self.origin, origin)
        missing &= self.cover <= 0.0


class Patches:
    """The patches of a shot. Without any, everything here costs nothing."""

    def __init__(
        self,
        shot: Shot,
        kit: Kit,
        watch: Watch,
        proxies: Proxies,
        motion: CameraMotion,
        artist: ArtistMotion,
    ) -> None:
        self._shot = shot
        self._kit = kit
        self._watch = watch
        self._proxies = proxies
        self._motion = motion
        self._artist = artist
        self._trails: dict[int, Trail] = {}
        self._holding: dict[int, bool] = {}
        self._pictures: OrderedDict[int, Patch | None] = OrderedDict()
        self.frames: tuple[int, ...] = tuple(
            frame
            for frame in shot.input_frames(InputRole.PATCH)
            if frame in shot.reach and shot.has_frame(frame)
        )
        lost = len(shot.input_frames(InputRole.PATCH)) - len(self.frames)
        if lost:
            watch.log(f"{lost} patch frames are outside the plate's frames and cannot be used.")

    def over(self, target: Target, holes: Holes, lookup: Lookup) -> Patched:
        """Return what the patches show of a target's hole."""
        frame = target.proxy.frame
        patched = Patched.nothing(len(holes))
        near = self._near(frame)
        if not near:
            return patched
        if near[0] == frame:
            encoded, weight = self._own(frame, holes)
            patched.put_under(encoded, weight, 0)
            near = near[1:]
        before = next((p for p in near if p < frame), None)
        after = next((p for p in near if p > frame), None)
        if before is not None and after is not None:
            share = _dissolved(frame, before, after)
            if 0.0 < share < 1.0:
                self._dissolve(patched, (before, after), share, target, lookup)
                near = tuple(p for p in near if p not in (before, after))
        for number in near:
            if patched.is_whole:
                break
            encoded, weight = self._carried(number, target, lookup)
            patched.put_under(encoded, weight, number - frame)
        return patched

    def coverage(self, frame: int, region: Region, coarse_hole: Mask) -> Mask:
        """Return which pixels of a coarse grid over a hole the patches can show, (n,)."""
        shown = np.zeros(int(coarse_hole.sum()), np.bool_)
        height, width = coarse_hole.shape
        scale = np.diag([float(_COARSE_STEP), float(_COARSE_STEP), 1.0])
        for number in self._near(frame):
            patch = self._patch(number)
            for plane, share in patch.planes.items() if patch is not None else ():
                matrix = self._trail(number).from_frame(frame, plane)
                if patch is not None and matrix is not None:
                    part = patch.shown if share is None else patch.shown * (share > 0.5)
                    at = matrix @ region.offset @ scale
                    seen = warped(np.asarray(part, np.uint8), at, (width, height), False)
                    shown |= seen[coarse_hole] > 0
        return shown

    def _near(self, frame: int) -> tuple[int, ...]:
        """Return the patches asked at ``frame``, nearest first: a few on each side."""
        before = sorted((p for p in self.frames if p <= frame), reverse=True)
        after = sorted(p for p in self.frames if p > frame)
        sides = [list(islice(filter(self.holds, side), _A_SIDE)) for side in (before, after)]
        return tuple(sorted(sides[0] + sides[1], key=lambda p: (abs(p - frame), p)))

    def holds(self, frame: int) -> bool:
        """Whether a patch has any pixel that counts; a painted sequence has many empty frames."""
        if frame not in self._holding:
            self._holding[frame] = self._patch(frame) is not None
        return self._holding[frame]

    def _dissolve(
        self,
        patched: Patched,
        pair: tuple[int, int],
        share: float,
        target: Target,
        lookup: Lookup,
    ) -> None:
        """Add a mix of two patches, ``share`` of the second; each alone where it is alone."""
        (a, a_weight), (b, b_weight) = (self._carried(p, target, lookup) for p in pair)
        left, right = (1.0 - share) * a_weight, share * b_weight
        total = np.maximum(left + right, 1e-6)[:, None]
        mixed = (left[:, None] * a + right[:, None] * b) / total
        nearer = pair[1] if share > 0.5 else pair[0]
        both = np.maximum(a_weight, b_weight)
        patched.put_under(mixed.astype(np.float32), both, nearer - target.proxy.frame)

    def _own(self, frame: int, holes: Holes) -> tuple[Floats, Floats]:
        """Return the patch's own pixels on its own frame, wherever it has any."""
        patch = self._patch(frame)
        if patch is None:
            return np.zeros((len(holes), 3), np.float32), np.zeros(len(holes), np.float32)
        place = np.column_stack([holes.columns, holes.rows]).astype(np.float32)
        encoded, weight = _sampled(patch, place)
        return encoded, (weight > 0.0).astype(np.float32)

    def _carried(self, number: int, target: Target, lookup: Lookup) -> tuple[Floats, Floats]:
        """Return encoded colours (n, 3) and weights (n,) of a patch, brought to the target.

        Plane by plane; where two come to one pixel, that shows which has more of it.
        """
        self._watch.check()
        colours = np.zeros((len(lookup.x), 3), np.float32)
        weights = np.zeros(len(lookup.x), np.float32)
        patch, source = self._patch(number), self._proxies.get(number)
        if patch is None or source is None:
            return colours, weights
        known = self._artist.place(target, number)
        planes = patch.planes if known is None else {next(iter(patch.planes)): None}
        for plane, share in planes.items():
            matrix = self._trail(number).from_frame(target.proxy.frame, plane)
            if matrix is None:
                continue
            way = Way(source, matrix, plane, self._trail(number).is_single, known)
            place, gain = self._placed(target, lookup, way)
            encoded, weight = _sampled(patch, place)
            if share is not None:
                weight = weight * self._share_at(share, place)
            more = weight > weights
            colours[more] = brightened(encoded, gain)[more]
            weights[more] = weight[more]
        return colours, weights

    def _share_at(self, share: Floats, place: Floats) -> Floats:
        """Return a plane's share (0 or 1) at full-size places; 0 where they are nowhere."""
        at = (place - np.float32((self._proxies.factor - 1) / 2)) / self._proxies.factor
        at = np.where(np.isfinite(at), at, np.float32(-1e4)).astype(np.float32)
        read = Lookup(np.ascontiguousarray(at[:, 0]), np.ascontiguousarray(at[:, 1])).read(share)
        return (read > 0.5).astype(np.float32)

    def _placed(self, target: Target, lookup: Lookup, way: Way) -> tuple[Floats, Floats]:
        """Return where the hole lies in the patch's plate, and the light it needs (log2)."""
        factor = self._proxies.factor
        alignment = align(target, way, self._kit)
        every = np.ones(len(lookup.x), np.bool_)
        if alignment is not None:
            place = places_of(alignment, lookup, factor, every)
            return place, lookup.of_half().read(alignment.gain())
        # Nothing round the hole is seen in both frames: the camera's motion must do.
        at = np.column_stack([lookup.x + target.region.x0, lookup.y + target.region.y0])
        place = moved(way.matrix, at.astype(np.float32)) * np.float32(factor)
        return place + np.float32((factor - 1) / 2), np.zeros((len(at), 3), np.float32)

    def _trail(self, frame: int) -> Trail:
        if frame not in self._trails:
            self._trails[frame] = Trail(frame, self._proxies, self._motion)
        return self._trails[frame]

    def _patch(self, frame: int) -> Patch | None:
        if frame not in self._pictures:
            self._pictures[frame] = self._read(frame)
            while len(self._pictures) > _KEPT_PICTURES:
                self._pictures.popitem(last=False)
        self._pictures.move_to_end(frame)
        return self._pictures[frame]

    def _read(self, frame: int) -> Patch | None:
        plate = self._shot.plate_window
        rgb, alpha = self._shot.input(InputRole.PATCH, frame, plate)
        support = bounds(alpha > 0.0)
        if support is None:
            return None
        window = support.grown(_MARGIN_PX).intersection(Window(0, 0, plate.width, plate.height))
        box = slice(window.y0, window.y1), slice(window.x0, window.x1)
        shown = alpha[box] > 0.0
        at = window.shifted(plate.x0, plate.y0)
        round_it = np.nan_to_num(self._shot.plate(frame, at), posinf=0.0, neginf=0.0)
        pixels = np.where(shown[..., None], rgb[box], round_it)
        blocked = ~shown & hole_of(self._shot.matte(frame, at))
        # A soft edge was painted over the plate: its outer half is as good as not there.
        weight = np.minimum(alpha[box] * np.float32(2.0), np.float32(1.0))
        small = self._small(alpha)
        return Patch(
            frame,
            window,
            np.ascontiguousarray(pixels, np.float32),
            np.ascontiguousarray(weight, np.float32),
            blocked.astype(np.uint8),
            small,
            self._planes_of(frame, small),
        )

    def _planes_of(self, frame: int, shown: npt.NDArray[np.uint8]) -> Mapping[int, Floats | None]:
        """Return on which planes of its frame a patch lies, and where on which.

        Every few pixels are asked; planes that have next to nothing of it do not count.
        """
        trail = self._trail(frame)
        if trail.is_single or not shown.any():
            return {0: None}
        rows, columns = (np.arange(0, size, _COARSE_STEP) for size in shown.shape)
        held = shown[np.ix_(rows, columns)] > 0
        at = np.argwhere(held) if held.any() else np.zeros((0, 2), np.int64)
        wanted: Points = (at[:, ::-1] * _COARSE_STEP).astype(np.float32)
        labels = trail.planes_at(wanted)
        counts = np.bincount(labels, minlength=1)
        found = [int(p) for p in np.argsort(-counts) if counts[p] > _LEAST_SHARE * len(labels)]
        if len(found) < 2:
            return {found[0] if found else 0: None}
        return {plane: self._spread(at, labels, plane, found, shown.shape) for plane in found}

    def _spread(
        self,
        at: npt.NDArray[np.int64],
        labels: npt.NDArray[np.uint8],
        plane: int,
        found: Sequence[int],
        shape: tuple[int, ...],
    ) -> Floats:
        """Return the share (h, w) of one plane, from the labels of every few pixels.

        Outside the patch the nearest label goes on, so that its edge is whole.
        """
        grid = tuple(-(-size // _COARSE_STEP) for size in shape)
        kept = np.where(np.isin(labels, found), labels, found[0])
        mine, some = np.zeros(grid, np.float32), np.zeros(grid, np.float32)
        mine[at[:, 0], at[:, 1]] = kept == plane
        some[at[:, 0], at[:, 1]] = 1.0
        whole = self._kit.device.pull_push(mine, some)
        size = (grid[1] * _COARSE_STEP, grid[0] * _COARSE_STEP)
        large = cv2.resize(np.ascontiguousarray(whole), size, interpolation=cv2.INTER_LINEAR)
        return np.ascontiguousarray(large[: shape[0], : shape[1]], np.float32)

    def _small(self, alpha: Floats) -> npt.NDArray[np.uint8]:
        size = (self._proxies.width, self._proxies.height)
        held = (alpha >= 0.5).astype(np.float32)
        reduced = cv2.resize(held, size, interpolation=cv2.INTER_AREA)
        return np.where(reduced > 0.999, np.uint8(255), np.uint8(0))


def _dissolved(frame: int, first: int, second: int) -> float:
    """Return how far the patch of ``second`` has replaced that of ``first``, 0 to 1."""
    length = min(DISSOLVE_FRAMES, second - first)
    along = (frame - 0.5 * (first + second)) / length + 0.5
    t = min(1.0, max(0.0, along))
    return t * t * (3.0 - 2.0 * t)


def _sampled(patch: Patch, place: Floats) -> tuple[Floats, Floats]:
    """Return encoded colours (n, 3) and weights (n,) of a patch at full-size places."""
    local = place - np.array([patch.window.x0, patch.window.y0], np.float32)
    local = np.where(np.isfinite(local), local, np.float32(-1e4)).astype(np.float32)
    encoded, found = in_both_lights(patch.pixels, patch.blocked, local)
    at = Lookup(np.ascontiguousarray(local[:, 0]), np.ascontiguousarray(local[:, 1]))
    weight = np.where(found, at.read(patch.weight), 0.0)
    return encoded, weight.astype(np.float32)
