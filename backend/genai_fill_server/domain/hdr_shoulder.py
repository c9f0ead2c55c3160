"""An invertible HDR shoulder: scene-linear Rec.709 to display values in 0 to 1 and back.

Image models know sRGB pictures. Clipping at 1 loses every highlight, a log curve looks like
nothing the model has seen. So: the sRGB curve up to a knee, then a logarithmic shoulder that
continues it with the same slope and reaches 1 at the shot's own peak::

    y(x) = sRGB(x)                               x <= knee
    y(x) = y_k + a · ln(1 + s · (x - knee) / a)  knee < x <= peak

with y_k = sRGB(knee), s the sRGB curve's slope there and a solved so that y(peak) = 1. At a
peak of 1 or less there is no shoulder: plain sRGB. With a peak of 100, linear 1, 4 and 10 come
to 0.818, 0.883 and 0.918.

The shoulder works on the largest of R, G, B and scales the pixel by what that loses, so hue
and saturation stay (each channel on its own would turn a bright orange yellow).

Negatives (colours outside Rec.709) go through the curve mirrored at 0, so the round trip
keeps them; an engine whose domain is 0 to 1 gets them clipped by whoever feeds it.
What is not a number becomes 0 on encoding, infinities become the peak or 0; decoding passes
NaN on, since it means that the engine failed there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
_Curve = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]

KNEE = 0.5
HALF_MAX = 65504.0
_TOE_LINEAR = 0.0031308
_TOE_ENCODED = 12.92 * _TOE_LINEAR
_KNEE_ENCODED = 1.055 * KNEE ** (1 / 2.4) - 0.055
_KNEE_SLOPE = 1.055 / 2.4 * KNEE ** (1 / 2.4 - 1)


@dataclass(frozen=True)
class HdrShoulder:
    """The curve for a shot whose largest scene-linear value is ``peak``."""

    peak: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.peak) and self.peak >= 0):
            raise ValueError(f"the peak of a shot must be finite and not negative: {self.peak}")

    @property
    def has_shoulder(self) -> bool:
        """Whether anything lies above what sRGB can hold."""
        return self.peak > 1.0

    @property
    def softness(self) -> float:
        """The a of the shoulder: the smaller, the harder the highlights are compressed."""
        # a · ln(1 + span / a) rises with a towards span, so bisection finds the one a at
        # which the shoulder ends at 1.
        rise, span = 1 - _KNEE_ENCODED, _KNEE_SLOPE * (self.peak - KNEE)
        low, high = 1e-6, 1e3
        for _ in range(100):
            middle = math.sqrt(low * high)
            if middle * math.log1p(span / middle) < rise:
                low = middle
            else:
                high = middle
        return high

    def encode(self, linear: FloatArray) -> FloatArray:
        """Return display values for ``linear`` (..., 3) Rec.709; new array, float32.

        0 to 1 for pixels of 0 to the peak; what is above the peak is clamped to it.
        """
        finite = linear
        if not np.isfinite(linear).all():
            finite = np.nan_to_num(linear, nan=0.0, posinf=self.peak, neginf=0.0)
        if self.has_shoulder:
            finite = self._scale_brightest(finite, self._compress)
        else:
            finite = np.minimum(finite, np.float32(1))
        return srgb_encode(finite)

    def decode(self, encoded: FloatArray) -> FloatArray:
        """The inverse of `encode`: scene-linear Rec.709, float32. Above 1 is clamped to 1."""
        linear = srgb_decode(np.minimum(encoded, np.float32(1)))
        return self._scale_brightest(linear, self._expand) if self.has_shoulder else linear

    def _scale_brightest(self, linear: FloatArray, curve: _Curve) -> FloatArray:
        brightest = np.maximum(np.maximum(linear[..., 0], linear[..., 1]), linear[..., 2])
        above = brightest > np.float32(KNEE)  # false for NaN: it goes through unchanged
        result = np.array(linear, dtype=np.float32, copy=True)
        values = brightest[above].astype(np.float64)
        ratio = curve(values) / values
        result[above] *= ratio[:, None].astype(np.float32)
        return result

    def _compress(self, linear: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Scene-linear to display-linear, above the knee."""
        a = self.softness
        above = np.minimum(linear, self.peak) - KNEE
        encoded = _KNEE_ENCODED + a * np.log1p(_KNEE_SLOPE * above / a)
        display = ((np.minimum(encoded, 1.0) + 0.055) / 1.055) ** 2.4
        return np.asarray(display, dtype=np.float64)

    def _expand(self, display: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Display-linear to scene-linear, above the knee."""
        a = self.softness
        encoded = 1.055 * np.minimum(display, 1.0) ** (1 / 2.4) - 0.055
        linear = KNEE + a / _KNEE_SLOPE * np.expm1((encoded - _KNEE_ENCODED) / a)
        return np.asarray(linear, dtype=np.float64)


def shot_peak(images: FloatArray) -> float:
    """Return the largest finite value of ``images``, at most what half float can hold.

    Not below 0. Infinities and NaN, which dead pixels and divisions leave behind, say
    nothing about a shot and are passed over.
    """
    brightest = float(images.max(initial=0.0))
    if not math.isfinite(brightest):
        brightest = float(images[np.isfinite(images)].max(initial=0.0))
    return min(brightest, HALF_MAX)


def srgb_encode(linear: FloatArray) -> FloatArray:
    """Return the sRGB curve (IEC 61966-2-1) of ``linear``, mirrored at 0, float32."""
    size = np.abs(linear)
    curved = np.float32(1.055) * size ** np.float32(1 / 2.4) - np.float32(0.055)
    encoded = np.where(size <= np.float32(_TOE_LINEAR), np.float32(12.92) * size, curved)
    return np.asarray(np.copysign(encoded, linear), dtype=np.float32)


def srgb_decode(encoded: FloatArray) -> FloatArray:
    """The inverse of `srgb_encode`, mirrored at 0, float32."""
    size = np.abs(encoded)
    curved = ((size + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4)
    linear = np.where(size <= np.float32(_TOE_ENCODED), size / np.float32(12.92), curved)
    return np.asarray(np.copysign(linear, encoded), dtype=np.float32)
