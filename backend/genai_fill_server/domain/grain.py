"""Give the fill the plate's grain: measured in the ring, made new for every frame.

**Measuring.** Differences of neighbours one and two pixels apart hold grain and texture; in
the calmest blocks of a brightness range they hold grain alone. With variance σ² and
correlations ρ1, ρ2 at those distances, half the mean squared differences are σ²(1 - ρ1) and
σ²(1 - ρ2); their ratio gives the grain's size, taken as white noise through a kernel
(k, 1, k) each way, and then σ. Per channel, over brightness, after the way that Immerkær
(*Fast Noise Variance Estimation*, 1996) and Liu et al. (*Noise Estimation from a Single Image*,
2006) measure noise.

**Making.** White Gaussian noise through the same kernel, scaled by σ at each pixel's own
brightness, less what the fill has already. From a counter-based generator keyed by (seed,
frame): the same bits on any machine with the same numpy, at any thread count, wherever a job
resumes; a new pattern for every frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genai_fill_server.domain.pixel_windows import finite_pixels

FloatImage = npt.NDArray[np.float32]
FloatMatte = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

BLOCK_PX = 8
LEVELS = (0.002, 0.01, 0.03, 0.08, 0.18, 0.4, 0.9, 2.0, 8.0)
"""Borders between brightness ranges, scene-linear."""

CALM_SHARE = 0.25
"""The calmest quarter of a range's blocks is taken as grain alone."""

_CALM_BIAS = 0.79
"""How much smaller the calmest quarter's mean variance is than the truth, for 8 x 8 blocks."""

_MIN_BLOCKS = 8

_TABLE_SIZE = 1024
_TABLE_TOP = 8.0  # the last of LEVELS: above it, grain is as it is there

MAX_BLOCKS = 4096
"""More blocks than these, evenly spread, tell nothing new."""


@dataclass(frozen=True)
class GrainProfile:
    """Grain by brightness: ``sigma`` (ranges, 3) at the brightness ``level`` (ranges, 3).

    ``tap`` (3) is the k of the kernel (k, 1, k): 0 is white noise, 0.5 coarse grain. With no
    ranges there was nothing to measure, and there is no grain to add.
    """

    level: tuple[tuple[float, float, float], ...] = ()
    sigma: tuple[tuple[float, float, float], ...] = ()
    tap: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def is_empty(self) -> bool:
        """Whether nothing could be measured."""
        return not self.level

    def sigma_at(self, image: FloatImage) -> FloatImage:
        """Return σ for each pixel and channel of ``image``, by its own brightness."""
        result = np.empty_like(image)
        for channel in range(3):
            levels = [entry[channel] for entry in self.level]
            sigmas = [entry[channel] for entry in self.sigma]
            order = np.argsort(levels)
            result[..., channel] = np.interp(
                image[..., channel], np.take(levels, order), np.take(sigmas, order)
            )
        return result


def measure_grain(image: FloatImage, where: Flags) -> GrainProfile:
    """Return the grain of ``image`` (h, w, 3), scene-linear, over the pixels ``where`` (h, w).

    Only blocks that lie wholly in ``where`` count.
    """
    blocks, means, one, two = _block_statistics(image, where)
    if blocks < _MIN_BLOCKS:
        return GrainProfile()
    brightness = means.mean(axis=1)
    which = np.digitize(brightness, LEVELS)
    levels, ones, twos = [], [], []
    for index in np.unique(which):
        members = np.flatnonzero(which == index)
        if members.size < _MIN_BLOCKS:
            continue
        level, first, second = _calmest(means[members], one[members], two[members])
        levels.append(level)
        ones.append(first)
        twos.append(second)
    if not levels:
        return GrainProfile()
    return _profile(np.array(levels), np.array(ones), np.array(twos))


def synthesise_grain(
    image: FloatImage, wanted: GrainProfile, present: GrainProfile, seed: int, frame: int
) -> FloatImage:
    """Return grain (h, w, 3) to add to ``image``, scene-linear, 0 where there is enough.

    ``present`` is the fill's own grain: variances are subtracted, so a fill that has all the
    plate's grain gets none.
    """
    if wanted.is_empty:
        return np.zeros_like(image)
    key = np.array([seed & 0xFFFFFFFFFFFFFFFF, frame & 0xFFFFFFFFFFFFFFFF], dtype=np.uint64)
    generator = np.random.Generator(np.random.Philox(key=key))
    height, width, _ = image.shape
    noise = generator.standard_normal((3, height + 2, width + 2), dtype=np.float32)
    grain = np.empty_like(image)
    for channel in range(3):
        tap = np.float32(wanted.tap[channel])
        plane = noise[channel]
        rows = plane[1:-1] + tap * (plane[:-2] + plane[2:])
        both = rows[:, 1:-1] + tap * (rows[:, :-2] + rows[:, 2:])
        scale = _missing_sigma(wanted, present, channel) / np.float32(1 + 2 * tap * tap)
        grain[..., channel] = both * scale[_table_index(image[..., channel])]
    return grain


def _table_index(values: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
    """Return where in a table each brightness lies; what is not a number counts as black."""
    with np.errstate(invalid="ignore"):
        place = np.sqrt(values * np.float32(1 / _TABLE_TOP)) * np.float32(_TABLE_SIZE - 1)
    clean = np.nan_to_num(place, nan=0.0, posinf=_TABLE_SIZE, neginf=0.0)
    return np.asarray(np.minimum(clean, np.float32(_TABLE_SIZE - 1)), dtype=np.intp)


def _missing_sigma(
    wanted: GrainProfile, present: GrainProfile, channel: int
) -> npt.NDArray[np.float32]:
    """Return the σ to add by brightness: the table that `_table_index` points into."""
    brightness = np.square(np.linspace(0, 1, _TABLE_SIZE, dtype=np.float32)) * _TABLE_TOP
    ramp = np.repeat(brightness[:, None, None], 3, axis=2).astype(np.float32)
    variance = np.square(wanted.sigma_at(ramp))
    if not present.is_empty:
        variance -= np.square(present.sigma_at(ramp))
    return np.sqrt(np.maximum(variance[:, 0, channel], 0))


def _block_statistics(
    image: FloatImage, where: Flags
) -> tuple[int, FloatImage, FloatImage, FloatImage]:
    """Return, per usable block, the mean and half the mean squared differences at 1 and 2 px."""
    good = where & finite_pixels(image)
    rows, columns = (side // BLOCK_PX for side in good.shape)
    cut = (slice(0, rows * BLOCK_PX), slice(0, columns * BLOCK_PX))
    tiled = good[cut].reshape(rows, BLOCK_PX, columns, BLOCK_PX)
    usable = np.argwhere(tiled.all(axis=(1, 3)))
    if usable.size == 0:
        empty = np.zeros((0, 3), dtype=np.float32)
        return 0, empty, empty, empty
    usable = usable[:: -(-len(usable) // MAX_BLOCKS)]
    blocks = image[cut].reshape(rows, BLOCK_PX, columns, BLOCK_PX, 3)
    chosen = blocks[usable[:, 0], :, usable[:, 1]]
    one = _half_square_difference(chosen, 1)
    two = _half_square_difference(chosen, 2)
    means = chosen.mean(axis=(1, 2), dtype=np.float32)
    return len(usable), np.asarray(means), one, two


def _half_square_difference(blocks: FloatImage, distance: int) -> FloatImage:
    down = blocks[:, distance:] - blocks[:, :-distance]
    across = blocks[:, :, distance:] - blocks[:, :, :-distance]
    squares = np.square(down).mean(axis=(1, 2)) + np.square(across).mean(axis=(1, 2))
    return np.asarray(squares / 4, dtype=np.float32)


def _calmest(
    means: FloatImage, one: FloatImage, two: FloatImage
) -> tuple[FloatImage, FloatImage, FloatImage]:
    """Return level and both differences over the calmest blocks, each channel by itself."""
    count = max(2, round(len(one) * CALM_SHARE))
    calm = np.argsort(one, axis=0, kind="stable")[:count]
    return (
        np.take_along_axis(means, calm, axis=0).mean(axis=0),
        np.take_along_axis(one, calm, axis=0).mean(axis=0) / np.float32(_CALM_BIAS),
        np.take_along_axis(two, calm, axis=0).mean(axis=0) / np.float32(_CALM_BIAS),
    )


def _profile(levels: FloatImage, ones: FloatImage, twos: FloatImage) -> GrainProfile:
    # One grain size for all brightnesses: the kernel is a property of the stock or sensor.
    ratio = ones.sum(axis=0) / np.maximum(twos.sum(axis=0), 1e-20)
    taps = [_tap_for(float(value)) for value in ratio]
    rho = np.array([2 * k / (1 + 2 * k * k) for k in taps])
    sigmas = np.sqrt(ones / np.maximum(1 - rho, 0.05))
    return GrainProfile(
        level=tuple((float(a), float(b), float(c)) for a, b, c in levels),
        sigma=tuple((float(a), float(b), float(c)) for a, b, c in sigmas),
        tap=(taps[0], taps[1], taps[2]),
    )


def _tap_for(ratio: float) -> float:
    """Return k for the ratio (1 - ρ1) / (1 - ρ2) = (1 - 2k + 2k²) / (1 + k²), in 0 to 0.5."""
    ks = np.linspace(0.0, 0.5, 101)
    ratios = (1 - 2 * ks + 2 * ks * ks) / (1 + ks * ks)
    return float(np.interp(-ratio, -ratios, ks))
