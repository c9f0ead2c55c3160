"""Curves between scene-linear light and what the engine computes on.

Two of them. `encode` is a signed logarithm, exactly invertible, used where pixels are
interpolated or blended: a highlight of 100 next to a value of 0.1 must neither ring nor win
every average. `Levels` is the one-way 8-bit luma that motion is measured on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genai_fill_server.engines.cleanplate.reduction import MOST_LIGHT, is_light

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

KNEE = np.float32(0.02)
"""Scene-linear value below which `encode` is nearly linear: about the noise of a plate."""

_LUMA = np.array([0.25, 0.60, 0.15], np.float32)
"""Between the luminance weights of Rec.709 and ACEScg; the working space is not known here."""

_FLOOR_STOPS = 4.0
_RANGE_STOPS = 10.0
_DARK, _LAMP = 1e-6, np.float32(64.0)


def encode(linear: Floats) -> Floats:
    """Return ``sign(x) * ln(1 + |x| / KNEE)``: odd, smooth, invertible for any finite x."""
    out = np.abs(linear)
    out /= KNEE
    np.log1p(out, out=out)
    return np.copysign(out, linear, out=out)


def decode(encoded: Floats) -> Floats:
    """Return the scene-linear values of `encode`'s."""
    out = np.abs(encoded)
    np.expm1(out, out=out)
    out *= KNEE
    return np.copysign(out, encoded, out=out)


def luma(rgb: Floats) -> Floats:
    """Return a luminance-like plane of an RGB image, shape (..., 3) -> (...)."""
    return np.asarray(rgb @ _LUMA, np.float32)


def without_broken(image: Floats) -> tuple[Floats, npt.NDArray[np.bool_] | None]:
    """Return the image with what is no light set to 0, and where that was (None: nowhere).

    No light are NaN, Inf, and values beyond `MOST_LIGHT`.
    """
    if is_light(image):
        return image, None
    bad = ~(np.abs(image) <= MOST_LIGHT)
    fixed = image.copy()
    fixed[bad] = 0.0
    pixels = np.asarray(bad.any(axis=-1), np.bool_)
    return fixed, (pixels if pixels.any() else None)


@dataclass(frozen=True)
class Levels:
    """The luma that motion is measured on: stops about the frame's median, as bytes.

    Exposure becomes an offset, so a fade does not look like motion, and 25 levels a stop
    keep dark texture trackable beside highlights.
    """

    median: float

    @classmethod
    def of(cls, light: Floats, usable: npt.NDArray[np.bool_]) -> Levels:
        """Measure a luma plane where it is usable (everywhere, if nowhere)."""
        values = light[usable] if usable.any() else light.ravel()
        values = np.maximum(values[:: max(1, values.size // 65536)], 0.0)
        lit = values[values > _DARK]
        if len(lit) == 0:
            return cls(_DARK)
        # A lamp must not decide what is dark: it would take all else to the floor.
        held = np.minimum(values, _LAMP * np.median(lit))
        return cls(float(max(np.median(values), 0.1 * held.mean(), _DARK)))

    def bytes_of(self, light: Floats) -> Bytes:
        """Return a luma plane as bytes; values 6 stops over the median and more are 255."""
        relative = np.maximum(light, 0.0)
        relative /= np.float32(self.median)
        relative += np.float32(2.0**-_FLOOR_STOPS)
        np.log2(relative, out=relative)
        relative += np.float32(_FLOOR_STOPS)
        relative *= np.float32(255.0 / _RANGE_STOPS)
        return np.asarray(np.clip(relative + 0.5, 0.0, 255.0), np.uint8)


LEVELS_PER_STOP = 255.0 / _RANGE_STOPS
"""How many byte levels of `Levels` are one stop, away from the floor."""
