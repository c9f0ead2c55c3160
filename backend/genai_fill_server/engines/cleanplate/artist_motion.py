"""Motion that the artist gives, used in place of what would be estimated.

Motion vectors say where each pixel is on the next or previous frame; they are walked from
frame to frame. An STMap says where each pixel lies on one common picture; two frames meet
there. Either is believed wherever its alpha is not 0, inside the matte too, and completed
smoothly where it is.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from genai_fill_contract.plate import InputRole
from genai_fill_server.domain.byte_cache import ByteCache
from genai_fill_server.engines.cleanplate.alignment import Target
from genai_fill_server.engines.cleanplate.description import Motion
from genai_fill_server.engines.cleanplate.diffusion import pull_push
from genai_fill_server.engines.cleanplate.encoding import Floats
from genai_fill_server.engines.cleanplate.motion import CameraMotion, Labelled, Step
from genai_fill_server.engines.cleanplate.planes import Matrix, Points, fit, identity
from genai_fill_server.engines.cleanplate.proxies import Proxies, Proxy
from genai_fill_server.engines.cleanplate.region import Region
from genai_fill_server.engines.cleanplate.stmaps import StMap, grid, read, stmap_of
from genai_fill_server.service.ports import Shot

FIELD_BYTES = 512 * 1024 * 1024
"""How much of the artist's motion is kept, at the proxies' size."""

_INVERSE_ROUNDS = 6
_GRID = (24, 16)
_KEPT_STEPS = 48


class ArtistMotion:
    """Where pixels of one frame lie on another, as the artist's inputs say."""

    def __init__(self, shot: Shot, proxies: Proxies) -> None:
        self._shot = shot
        self._proxies = proxies
        self._forward = frozenset(shot.input_frames(InputRole.MOTION_FORWARD))
        self._backward = frozenset(shot.input_frames(InputRole.MOTION_BACKWARD))
        self._maps = frozenset(shot.input_frames(InputRole.STMAP))
        self._fields = ByteCache(FIELD_BYTES)
        self._inverses: dict[int, Matrix | None] = {}
        self._walked: tuple[int, Region] | None = None
        self._walks: dict[int, Floats | None] = {}
        self._start_frame = 0

    @property
    def is_given(self) -> bool:
        """Whether there is any."""
        return bool(self._forward or self._backward or self._maps)

    def place(self, target: Target, frame: int) -> Floats | None:
        """Return the proxy pixels of ``frame`` for a target's region, (h, w, 2: x, y).

        None where no input leads there.
        """
        return self._place(target.proxy.frame, target.region, frame)

    def step(self, first: Proxy, second: Proxy, motion: Motion) -> Step | None:
        """Return the way between two neighbouring frames as the one plane nearest to it."""
        width, height = self._proxies.width, self._proxies.height
        place = self._place(first.frame, Region(0, 0, width, height), second.frame)
        if place is None:
            return None
        xs = np.linspace(0, width - 1, _GRID[0]).astype(np.int64)
        ys = np.linspace(0, height - 1, _GRID[1]).astype(np.int64)
        columns, rows = np.meshgrid(xs, ys)
        before: Points = np.column_stack([columns.ravel(), rows.ravel()]).astype(np.float32)
        after: Points = np.asarray(place[rows.ravel(), columns.ravel()], np.float32)
        kind = Motion.HOMOGRAPHY if motion is Motion.NONE else motion
        matrix = fit(before, after, kind, (height, width))
        labels = np.zeros(len(before), np.int64)
        matrices: tuple[Matrix, ...] = (identity() if matrix is None else matrix,)
        return Step(matrices, Labelled(before, labels), Labelled(after, labels))

    def _place(self, first: int, region: Region, second: int) -> Floats | None:
        if first in self._maps and second in self._maps:
            return self._mapped(first, region, second)
        if not (self._forward or self._backward):
            return None
        if self._walked != (first, region):
            self._walked = (first, region)
            self._start_frame = first
            self._walks = {first: _grid(region)}
        return self._walk(second, 1 if second > first else -1)

    def _walk(self, frame: int, onward: int) -> Floats | None:
        """Return where the walked region lies on ``frame``, walking as far as is needed."""
        behind = frame
        while behind not in self._walks:
            behind -= onward
        while behind != frame:
            here = self._walks[behind]
            there = None if here is None else self._stepped(behind, behind + onward, here)
            if abs(behind - self._start_frame) > _KEPT_STEPS:
                del self._walks[behind]
            behind += onward
            self._walks[behind] = there
        return self._walks[frame]

    def _stepped(self, first: int, second: int, place: Floats) -> Floats | None:
        """Move places of one frame to the next or previous by its vectors.

        Where only the other frame's vectors are given, they are followed backwards.
        """
        ahead = second > first
        direct, role = (
            (self._forward, InputRole.MOTION_FORWARD)
            if ahead
            else (self._backward, InputRole.MOTION_BACKWARD)
        )
        if first in direct:
            return place + read(self._vectors(role, first), place)
        reverse, role = (
            (self._backward, InputRole.MOTION_BACKWARD)
            if ahead
            else (self._forward, InputRole.MOTION_FORWARD)
        )
        if second not in reverse:
            return None
        field = self._vectors(role, second)
        found = place - read(field, place)
        for _ in range(_INVERSE_ROUNDS):
            found = place - read(field, found)
        return np.asarray(found, np.float32)

    def _vectors(self, role: InputRole, frame: int) -> Floats:
        """Return a frame's motion in proxy pixels, (h, w, 2), complete."""

        def make() -> Floats:
            vectors, known = self._reduced(role, frame)
            vectors = vectors / np.float32(self._proxies.factor)
            if known.all():
                return vectors
            return pull_push(vectors * known[..., None], known.astype(np.float32))

        return self._fields.get((role, frame), make)

    def _mapped(self, first: int, region: Region, second: int) -> Floats | None:
        """Return places on ``second`` that show the same of the common picture."""
        here, there = self._map(first), self._map(second)
        if here is None or there is None:
            return None
        return there.showing(here.values[region.rows_and_columns])

    def _map(self, frame: int) -> StMap | None:
        """Return a frame's STMap at the proxies' size; None where it tells too little."""
        inverse = self._inverses.get(frame)
        values = self._fields.find((InputRole.STMAP, frame))
        if frame in self._inverses and (inverse is None or values is not None):
            return None if inverse is None or values is None else StMap(values, inverse)
        mapped, known = self._reduced(InputRole.STMAP, frame)
        made = stmap_of(mapped, known & (mapped != 0.0).any(axis=-1))
        self._inverses[frame] = None if made is None else made.to_pixels
        if made is not None:
            self._fields.put((InputRole.STMAP, frame), made.values)
        return made

    def _reduced(self, role: InputRole, frame: int) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Return red and green at the proxies' size, and where they are known."""
        rgb, alpha = self._shot.input(role, frame, self._shot.plate_window)
        weight = (alpha > 0.0).astype(np.float32)
        factor = self._proxies.factor
        mass = _averaged(weight, factor)
        total = _averaged(np.ascontiguousarray(rgb[..., :2]) * weight[..., None], factor)
        known = mass > 0.5
        reduced = total / np.maximum(mass, np.float32(1e-6))[..., None]
        return np.asarray(reduced, np.float32), np.asarray(known, np.bool_)


class ArtistCamera(CameraMotion):
    """Camera motion read from the artist's inputs, measured only where they are silent."""

    def __init__(self, motion: Motion, artist: ArtistMotion) -> None:
        super().__init__(motion)
        self._kind = motion
        self._artist = artist

    def is_begun(self, low: int, high: int) -> bool:
        """Claim that it is: the artist's inputs are read by one thread, when asked for."""
        del low, high
        return True

    def _measured(self, first: Proxy, second: Proxy) -> Step:
        given = self._artist.step(first, second, self._kind)
        return super()._measured(first, second) if given is None else given


def camera_motion(motion: Motion, artist: ArtistMotion) -> CameraMotion:
    """Return the motion of a shot, the artist's where there is any."""
    return ArtistCamera(motion, artist) if artist.is_given else CameraMotion(motion)


def _grid(region: Region) -> Floats:
    return grid(region.x0, region.y0, *region.size)


def _averaged(plane: Floats, factor: int) -> Floats:
    if factor == 1:
        return plane
    bottom, right = -plane.shape[0] % factor, -plane.shape[1] % factor
    padded = cv2.copyMakeBorder(plane, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
    size = (padded.shape[1] // factor, padded.shape[0] // factor)
    return np.asarray(cv2.resize(padded, size, interpolation=cv2.INTER_AREA), np.float32)
