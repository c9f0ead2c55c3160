"""How much brighter the target is than a source: exposure, white balance, falling shadow.

Computed on linear light at half the proxy's size, a quarter round large holes, as a ratio of
local means, so that grain cancels and nothing is taken from a clipped or coded value. One
robust factor a channel for the pair, plus a membrane of what differs round the hole, in log2 of
linear light: that is gradient-domain compositing without its overshoot, since a factor keeps
black black.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from genai_fill_server.engines.cleanplate.device import Device
from genai_fill_server.engines.cleanplate.encoding import Floats
from genai_fill_server.engines.cleanplate.kit import Kit
from genai_fill_server.engines.cleanplate.proxies import Proxy
from genai_fill_server.engines.cleanplate.region import Region

Mask = npt.NDArray[np.bool_]

_MAXIMUM_GLOBAL_STOPS = 6.0
_MAXIMUM_LOCAL_STOPS = 0.35
_UNTRUSTED_STOPS = 0.25
_ENOUGH_PX = 32
_AGREED_STOPS, _APART_STOPS = 0.2, 0.45
_MEAN_PX = 5
_SPREAD_PX = 6
_MOST_PX = 96 * 96


def log_gain(
    target: Proxy,
    region: Region,
    source: Proxy,
    place: Floats,
    both: Floats,
    error: Floats,
    kit: Kit,
) -> Floats:
    """Return log2 of the factor from source to target light, (h/2, w/2, 3).

    ``place`` maps the region to the source proxy; ``both`` is 1 where both frames show
    background; ``error`` says in stops how badly they agree.
    """
    wanted = target.light[region.halved()]
    height, width = wanted.shape[:2]
    if not kit.options.match_lighting:
        return np.zeros((height, width, 3), np.float32)
    half_place = _halved(place, height, width) * np.float32(0.5) - np.float32(0.25)
    given = _sampled(source.light, half_place)
    weight = _halved(both, height, width) * (_sampled(source.light_valid, half_place) > 0.99)
    weight *= target.light_valid[region.halved()] > 0.99
    weight = (weight > 0.99).astype(np.float32)
    # Where content differs, the ratio speaks of content, not of light.
    weight *= np.exp(-4.0 * _halved(error, height, width)).astype(np.float32)
    if float(weight.sum()) < 4.0:
        return np.zeros((height, width, 3), np.float32)
    floor = np.float32(max(1e-5, 0.02 * float(np.median(np.abs(wanted)))))
    if height * width <= _MOST_PX:
        return _gain_of(wanted, given, weight, floor, kit.device)
    # Light is smooth: round a large hole half the size tells it as well. Under a matte light is
    # 0, and must not be mixed into what lies beside it.
    small = -(-height // 2), -(-width // 2)
    mass = _halved(weight, *small)
    held = np.maximum(mass, np.float32(1e-6))[..., None]
    wanted, given = (
        np.asarray(_halved(light * weight[..., None], *small) / held, np.float32)
        for light in (wanted, given)
    )
    found = _gain_of(wanted, given, mass, floor, kit.device, reduced=2)
    size = (2 * found.shape[1], 2 * found.shape[0])
    return np.asarray(cv2.resize(found, size)[:height, :width], np.float32)


def _gain_of(
    wanted: Floats,
    given: Floats,
    weight: Floats,
    floor: np.float32,
    device: Device,
    reduced: int = 1,
) -> Floats:
    """Return log2 of the factor from ``given`` to ``wanted`` (h, w, 3), ``reduced`` so often.

    Light below ``floor`` tells nothing.
    """
    mean_px, spread_px = _MEAN_PX // reduced, _SPREAD_PX // reduced
    ratio = np.log2(
        np.maximum(_mean(wanted, weight, mean_px), floor)
        / np.maximum(_mean(given, weight, mean_px), floor)
    )
    # A pixel of misalignment at a strong edge changes a mean more than any light does.
    weight = weight / (1.0 + 30.0 * _contrast(given, weight, mean_px) ** 2)
    strong = weight > 0.5 * float(weight.max())
    overall = np.array([np.median(ratio[..., c][strong]) for c in range(3)], np.float32)
    most = _most_stops(wanted, given, strong, overall, floor)
    local = np.clip(ratio - overall, -_MAXIMUM_LOCAL_STOPS, _MAXIMUM_LOCAL_STOPS)
    surface = device.membrane(local.astype(np.float32), weight, spread_px)
    return np.asarray(np.clip(overall, -most, most) + surface, np.float32)


def _most_stops(
    wanted: Floats, given: Floats, strong: Mask, overall: Floats, floor: np.float32
) -> float:
    """Return how many stops a pair's light may be apart, by how well ``overall`` explains it.

    Light explains a difference when both frames show the same after it, pixel by pixel. Where
    they do not, other content is brighter, and a factor taken from it would invent light.
    """
    mass = strong.astype(np.float32)
    ratio = np.log2(
        np.maximum(_mean(wanted, mass, 1), floor)
        / np.maximum(_mean(given, mass, 1) * np.exp2(overall), floor)
    )
    apart = float(np.median(np.abs(ratio)[strong]))
    trust = np.clip((_APART_STOPS - apart) / (_APART_STOPS - _AGREED_STOPS), 0.0, 1.0)
    trust *= min(1.0, float(mass.sum()) / _ENOUGH_PX)
    return _UNTRUSTED_STOPS + float(trust) * (_MAXIMUM_GLOBAL_STOPS - _UNTRUSTED_STOPS)


def _contrast(light: Floats, weight: Floats, radius_px: int) -> Floats:
    """Return how much light varies about its local mean, relative to it, (h, w)."""
    level = np.maximum(light.mean(axis=2), 0.0)
    mean = _mean(level[..., None], weight, radius_px)[..., 0]
    apart = np.abs(level - mean)[..., None]
    return np.asarray(_mean(apart, weight, radius_px)[..., 0] / np.maximum(mean, 1e-6), np.float32)


def _mean(light: Floats, weight: Floats, radius_px: int) -> Floats:
    side = (2 * radius_px + 1, 2 * radius_px + 1)
    mass = cv2.blur(weight, side)
    total = cv2.blur(light * weight[..., None], side).reshape(light.shape)
    return np.asarray(total / np.maximum(mass, 1e-6)[..., None], np.float32)


def _halved(plane: Floats, height: int, width: int) -> Floats:
    padded = cv2.copyMakeBorder(
        plane, 0, 2 * height - plane.shape[0], 0, 2 * width - plane.shape[1], cv2.BORDER_REPLICATE
    )
    return np.asarray(cv2.resize(padded, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def _sampled(plane: Floats, place: Floats) -> Floats:
    return np.asarray(
        cv2.remap(
            plane, place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
        ),
        np.float32,
    )
