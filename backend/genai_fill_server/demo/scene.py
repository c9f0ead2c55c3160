"""A made-up shot with a known answer: a launch pad at dusk, and a horse that walks through it.

Photographs: the rocket (SpaceX, released into the public domain), the gravel (CC0Textures)
and the horse (openclipart, CC0) that scikit-image carries in its package. A camera on a
slider looks at a far backdrop and a near ground, so the two layers move differently;
lamps reach about 20 in scene-linear light; exposure and white balance drift; grain is new on
every frame. The plate with the horse and the truth without it share everything else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from skimage import data
from skimage.filters import gaussian
from skimage.transform import warp

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

_FOCAL_PX = 1100.0
_CAMERA_HEIGHT_M = 1.5
_BACKDROP_M = 80.0
_SLIDE_M = 0.08
_PHOTO_SCALE = 1.53
_HORSE_M = 21.0
_HORSE_HEIGHT_M = 4.7
_HORIZON_PX = 456.0
_TEXELS_PER_M = 26.0


@dataclass(frozen=True)
class SceneSize:
    """The size of the demo shot: frames of ``width`` x ``height`` pixels."""

    width: int = 960
    height: int = 540
    frames: int = 24

    @property
    def scale(self) -> float:
        """Size relative to the 540 rows that the scene is laid out in."""
        return self.height / 540.0


@dataclass(frozen=True)
class SceneFrame:
    """One frame in linear Rec.709 light: (h, w, 3), and the horse's matte (h, w)."""

    plate: Floats
    truth: Floats
    matte: Floats


def linear(display: npt.ArrayLike) -> Floats:
    """Return linear light of sRGB-encoded values."""
    coded = np.asarray(display, np.float64)
    low, high = coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4
    return np.where(coded <= 0.04045, low, high).astype(np.float32)


def _roll(index: int) -> float:
    return float(np.deg2rad(0.35) * np.sin(2.0 * np.pi * index / 30.0))


def _zoom(index: int) -> float:
    return 1.0 + 0.0012 * index


class LaunchPad:
    """The scene. The same ``seed`` gives the same shot, bit for bit."""

    def __init__(self, size: SceneSize | None = None, seed: int = 7) -> None:
        self.size = size or SceneSize()
        self._seed = seed
        photo = linear(data.rocket() / 255.0)
        # The photograph clips its lamps; light that burns out a sensor is many times white.
        hot = np.clip((photo.max(axis=2) - 0.62) / 0.38, 0.0, 1.0)
        glow = gaussian(hot, 0.8, preserve_range=True)[..., None]
        self._photo = (photo * (1.0 + 22.0 * glow**2)).astype(np.float32)
        self._gravel = self._softened(linear(data.gravel() / 255.0))
        horse = data.horse().astype(np.float32)
        self._horse = self._shaded_horse(np.pad(1.0 - horse, 8))

    def frame(self, index: int) -> SceneFrame:
        """Return frame ``index`` (0 to ``size.frames - 1``)."""
        clean = self._background(index)
        horse, matte = self._horse_at(index)
        exposure = self.exposure(index)
        grain = self._grain(index, clean.shape)
        truth = self._exposed(clean, exposure, grain)
        mixed = clean * (1.0 - matte[..., None]) + horse * matte[..., None]
        plate = self._exposed(mixed, exposure, grain)
        # Where there is no horse the two must agree to the bit.
        plate = np.where(matte[..., None] > 0.0, plate, truth)
        return SceneFrame(plate, truth, matte)

    def exposure(self, index: int) -> Floats:
        """Return the exposure of a frame: a factor for each of red, green and blue, (3,)."""
        turn = 2.0 * np.pi * index / 40.0
        stops = np.array([0.16 * np.sin(turn), 0.15 * np.sin(turn + 0.15), 0.19 * np.sin(turn)])
        return np.asarray(np.exp2(stops), np.float32)

    def _grain(self, index: int, shape: tuple[int, ...]) -> Floats:
        random = np.random.default_rng([self._seed, index])
        noise = random.standard_normal(shape)
        soft = gaussian(noise, 0.55, channel_axis=2, preserve_range=True)
        return np.asarray(soft / soft.std(), np.float32)

    def _exposed(self, light: Floats, exposure: Floats, grain: Floats) -> Floats:
        exposed = light * exposure
        amount = np.sqrt(0.0007**2 + 0.00012 * np.maximum(exposed, 0.0))
        return np.asarray(exposed + amount * grain, np.float32)

    def moved(self, points: Doubles, first: int, second: int) -> Doubles:
        """Return where points of the background on one frame lie on another: the truth.

        ``points`` (..., 2) are x and y in pixels, a pixel's middle at whole numbers.
        """
        scale = self.size.scale
        x = (points[..., 0] + 0.5) / scale - 480.0
        y = (points[..., 1] + 0.5) / scale - _HORIZON_PX
        x, y = self._steadied(x, y, first)
        edge = _FOCAL_PX * _CAMERA_HEIGHT_M / _BACKDROP_M
        depth = np.where(y > edge, _FOCAL_PX * _CAMERA_HEIGHT_M / np.maximum(y, edge), _BACKDROP_M)
        x = x + (self._slide(first) - self._slide(second)) * _FOCAL_PX / depth
        turn, zoom = _roll(second), _zoom(second)
        x, y = x * zoom, y * zoom
        x, y = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        columns = (x + 480.0) * scale - 0.5
        rows = (y + _HORIZON_PX) * scale - 0.5
        return np.stack([columns, rows], axis=-1)

    def is_far(self, index: int) -> npt.NDArray[np.bool_]:
        """Return which pixels (h, w) of a frame show the backdrop, not the ground."""
        _, y = self._steadied(*self._pixels(), index)
        return y < _FOCAL_PX * _CAMERA_HEIGHT_M / _BACKDROP_M

    def _pixels(self) -> tuple[Doubles, Doubles]:
        rows, columns = np.mgrid[0 : self.size.height, 0 : self.size.width].astype(np.float64)
        scale = self.size.scale
        return (columns + 0.5) / scale - 480.0, (rows + 0.5) / scale - _HORIZON_PX

    def _slide(self, index: int) -> float:
        return _SLIDE_M * (index - (self.size.frames - 1) / 2.0)

    def _steadied(self, x: Doubles, y: Doubles, index: int) -> tuple[Doubles, Doubles]:
        """Return coordinates with the frame's roll and zoom taken out."""
        turn, zoom = _roll(index), _zoom(index)
        turned = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
        return turned[0] / zoom, turned[1] / zoom

    def _background(self, index: int) -> Floats:
        """Backdrop above the ground's far edge, ground below it."""
        x, y = self._steadied(*self._pixels(), index)
        far = self._backdrop(x + _FOCAL_PX * self._slide(index) / _BACKDROP_M, y)
        edge = _FOCAL_PX * _CAMERA_HEIGHT_M / _BACKDROP_M
        depth = _FOCAL_PX * _CAMERA_HEIGHT_M / np.maximum(y, 0.5 * edge)
        near = self._ground(x * depth / _FOCAL_PX + self._slide(index), depth)
        share = np.clip((y - edge) * self.size.scale + 0.5, 0.0, 1.0)[..., None]
        return np.asarray(far * (1.0 - share) + near * share, np.float32)

    def _backdrop(self, x: Doubles, y: Doubles) -> Floats:
        height, width = self._photo.shape[:2]
        column = x / _PHOTO_SCALE + width / 2.0 - 0.5
        row = (y - 26.0) / _PHOTO_SCALE + height - 0.5
        return self._read(self._photo, row, column)

    def _softened(self, texture: Floats) -> list[Floats]:
        """Return the texture averaged over 1, 2, 4, ... rows: a lens sees no less of it."""
        levels = [texture]
        for level in range(1, 7):
            spread = (0.5 * 2.0**level, 0.25)
            levels.append(gaussian(texture, spread, mode="wrap", preserve_range=True))
        return [np.asarray(level, np.float32) for level in levels]

    def _ground(self, x: Doubles, depth: Doubles) -> Floats:
        """Gravel under a dusk sky, warm where the pad's lamps reach."""
        side = self._gravel[0].shape[0]
        row, column = (depth * _TEXELS_PER_M) % side, (x * _TEXELS_PER_M) % side
        rate = depth**2 / (_FOCAL_PX * _CAMERA_HEIGHT_M) * _TEXELS_PER_M / self.size.scale
        level = np.clip(np.log2(np.maximum(rate, 1.0)), 0.0, len(self._gravel) - 1.0)
        texture = np.zeros((*x.shape, 1), np.float32)
        for number, plane in enumerate(self._gravel):
            share = np.clip(1.0 - np.abs(level - number), 0.0, 1.0)[..., None]
            if share.any():
                texture += self._read(plane[..., None], row, column) * share
        sky = np.array([0.16, 0.20, 0.34], np.float32)
        lamps = np.array([1.6, 0.85, 0.28], np.float32)
        warm = np.exp(-(((depth - 62.0) / 22.0) ** 2) - (x / 26.0) ** 2)[..., None]
        return np.asarray(texture * (sky + lamps * warm) * 0.55, np.float32)

    def _read(self, image: Floats, row: Doubles, column: Doubles) -> Floats:
        planes = [
            warp(image[..., c], np.stack([row, column]), order=3, mode="reflect", clip=True)
            for c in range(image.shape[2])
        ]
        return np.dstack(planes).astype(np.float32)

    def _shaded_horse(self, shape: Floats) -> Floats:
        """Return (h, w, 4): a dark coat, lit from the pad behind it, and its coverage."""
        body = gaussian(shape, 11.0, preserve_range=True)
        skin = gaussian(shape, 3.5, preserve_range=True)
        slope_y, slope_x = np.gradient(skin)
        rim = np.clip(9.0 * slope_x, 0.0, 1.0) + np.clip(6.0 * slope_y, 0.0, 1.0)
        round_top = np.clip(14.0 * np.gradient(body)[0], -0.6, 1.0)
        coat = np.array([0.022, 0.012, 0.008]) * (0.9 + 0.8 * round_top[..., None])
        lit = np.array([0.55, 0.25, 0.08]) * np.clip(rim, 0.0, 1.0)[..., None] ** 2
        return np.dstack([coat + lit, shape]).astype(np.float32)

    def _horse_at(self, index: int) -> tuple[Floats, Floats]:
        """Return the horse's light (h, w, 3) and matte (h, w), blurred along its way."""
        x, y = self._pixels()
        rows, columns = self._horse.shape[:2]
        scale = _FOCAL_PX * _HORSE_HEIGHT_M / _HORSE_M / rows
        share = index / max(1, self.size.frames - 1)
        middle = -330.0 + 660.0 * share
        bob = 3.5 * np.sin(2.0 * np.pi * index / 7.0)
        feet = _FOCAL_PX * _CAMERA_HEIGHT_M / _HORSE_M - 12.0
        speed = 660.0 / max(1, self.size.frames - 1) * 0.25
        light, cover = np.zeros((2, *x.shape, 3), np.float32)
        for step in (-0.375, -0.125, 0.125, 0.375):
            column = (x - middle - step * speed) / scale + columns / 2.0
            row = (y - feet - bob) / scale + rows
            seen = [
                warp(self._horse[..., c], np.stack([row, column]), order=1, mode="constant")
                for c in range(4)
            ]
            light += np.dstack(seen[:3]) * seen[3][..., None] / 4.0
            cover += seen[3][..., None] / 4.0
        matte = np.where(cover[..., 0] > 1e-3, cover[..., 0], 0.0)
        return light / np.maximum(cover, 1e-3), np.minimum(matte, 1.0).astype(np.float32)
