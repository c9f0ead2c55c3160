"""Smooth fields and scores in torch: the counterparts of `diffusion` and `choice`.

Planes are float32 tensors (h, w, c). Sums run in a fixed order over shifted copies rather
than by convolution or running sums, whose order on a GPU is not promised: the same call gives
the same bits on the same device.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from genai_fill_server.engines.cleanplate import weighing
from genai_fill_server.engines.cleanplate.encoding import LEVELS_PER_STOP


def reduced(image: Tensor, factor: int) -> Tensor:
    """Return means of ``factor`` x ``factor`` blocks of (h, w, c)."""
    if factor == 1:
        return image
    height, width = image.shape[:2]
    rows, columns = -(-height // factor), -(-width // factor)
    whole = _picked(_picked(image, _held(height, rows * factor), 0), _held(width, columns * factor))
    blocks = whole.reshape(rows, factor, columns, factor, image.shape[2])
    total = torch.zeros_like(blocks[:, 0, :, 0])
    for row in range(factor):
        for column in range(factor):
            total = total + blocks[:, row, :, column]
    return total / (factor * factor)


def pull_push(values: Tensor, weight: Tensor) -> Tensor:
    """Return ``values`` (h, w, c) completed where ``weight`` (h, w, 1) is below 1."""
    weight = weight.clamp(max=1.0)
    sums, weights = [values * weight], [weight]
    while max(weights[-1].shape[:2]) > 1 and float(weights[-1].min()) < 1.0:
        total = reduced(weights[-1], 2) * 4.0
        summed = reduced(sums[-1], 2) * 4.0
        capped = total.clamp(max=1.0)
        scale = torch.where(total > 1.0, capped / total.clamp(min=1e-12), 1.0)
        sums.append(summed * scale)
        weights.append(capped)
    top = weights[-1]
    filled = torch.where(top > 1e-9, sums[-1] / top.clamp(min=1e-9), 0.0)
    for known, mass in zip(reversed(sums[:-1]), reversed(weights[:-1]), strict=True):
        height, width = mass.shape[:2]
        filled = known + _doubled(filled)[:height, :width] * (1.0 - mass)
    return filled


def membrane(values: Tensor, weight: Tensor, smoothing_px: int) -> Tensor:
    """Return a smooth surface through the weighted ``values`` (h, w, c)."""
    mass = blurred(weight, smoothing_px, repeat_edge=True)
    mean = blurred(values * weight, smoothing_px, repeat_edge=True) / mass.clamp(min=1e-6)
    surface = pull_push(mean, (mass > 0.02) * weight)
    return _gaussian(surface, max(1.0, smoothing_px / 2))


def apart(levels: Tensor, usable: Tensor, several: bool) -> Tensor:
    """Return how far each source stands from what most say; all (n, h, w)."""
    stack = torch.where(usable, levels, torch.nan)
    known = torch.isfinite(stack)
    ordered = torch.sort(stack, dim=0).values
    count = known.sum(dim=0)
    low = ordered.gather(0, ((count - 1).clamp(min=0) // 2)[None])[0]
    high = ordered.gather(0, (count // 2).clamp(max=len(stack) - 1)[None])[0]
    middle = 0.5 * (low + high)
    texture = _texture(torch.nan_to_num(middle), count > 1) if several else torch.zeros_like(middle)
    shared = known & (count > 1)
    difference = torch.where(shared, (stack - middle).abs(), 0.0)
    # Sources become channels: one blur serves all.
    mass = blurred(shared.float().permute(1, 2, 0), 3).permute(2, 0, 1)
    smooth = blurred(difference.permute(1, 2, 0), 3).permute(2, 0, 1) / mass.clamp(min=1e-3)
    measured = smooth / LEVELS_PER_STOP - texture
    return torch.where(mass > 0.05, measured, float(weighing.ALONE_STOPS))


def weighed(own_price: Tensor, planes: Sequence[int]) -> Tensor:
    """Return the weights (n, h, w) of sources that cost ``own_price`` (n, h, w)."""
    count = len(own_price)
    numbers = torch.arange(count, device=own_price.device)[:, None, None]
    allowed = own_price < float(weighing.UNUSABLE)
    price = own_price
    for _ in range(weighing.ROUNDS):
        labels = price.argmin(dim=0)
        alike = _all_blurred((labels == numbers).float(), 4)
        price = own_price + weighing.NEIGHBOUR_COST * (1.0 - alike)
        if len(set(planes)) > 1:
            price = price + _plane_price(labels, planes)
    labels = price.argmin(dim=0)
    own = ((labels == numbers) & allowed).float()
    weights = torch.where(allowed, _all_blurred(own, 1), 0.0)
    total = _in_order(weights)
    return weights / total.clamp(min=1e-6) * (total > 0)


def _plane_price(labels: Tensor, planes: Sequence[int]) -> Tensor:
    """Return what each source pays for standing among pixels of other planes, (n, h, w)."""
    of_source = torch.tensor(list(planes), device=labels.device)
    of_pixel = of_source[labels]
    price = torch.zeros((len(planes), *labels.shape), device=labels.device)
    for plane in sorted(set(planes)):
        alike = blurred((of_pixel == plane).float()[..., None], weighing.PLANE_PX)[..., 0]
        price[of_source == plane] = weighing.PLANE_COST * (1.0 - alike)
    return price


def _in_order(planes: Tensor) -> Tensor:
    total = torch.zeros_like(planes[0])
    for plane in planes:
        total = total + plane
    return total


def _texture(levels: Tensor, known: Tensor) -> Tensor:
    """Return the local mean slope of ``levels`` (h, w), as `choice` does."""
    slope_x = _sloped(levels[..., None], 1)[..., 0]
    slope_y = _sloped(levels[..., None], 0)[..., 0]
    inner = _eroded(known.float())
    slope = torch.hypot(slope_x, slope_y) * inner
    mass = blurred(inner[..., None], 3)[..., 0].clamp(min=1e-2)
    mean = blurred(slope[..., None], 3)[..., 0] / mass / LEVELS_PER_STOP
    return float(weighing.TEXTURE_WORTH) * mean.clamp(max=0.25)


def _sloped(plane: Tensor, axis: int) -> Tensor:
    """Return Sobel's slope along an axis, divided by 8."""
    smooth = _weighted(plane, 1 - axis, (1.0, 2.0, 1.0), repeat_edge=False)
    return _weighted(smooth, axis, (-1.0, 0.0, 1.0), repeat_edge=False) / 8.0


def _eroded(plane: Tensor) -> Tensor:
    """Return the least of the 3 x 3 neighbours of (h, w)."""
    for axis in (0, 1):
        size = plane.shape[axis]
        ways = [np.clip(np.arange(size) + step, 0, size - 1) for step in (-1, 0, 1)]
        parts = [_picked(plane, way, axis) for way in ways]
        plane = torch.minimum(torch.minimum(parts[0], parts[1]), parts[2])
    return plane


def _all_blurred(planes: Tensor, px: int) -> Tensor:
    """Blur (n, h, w) planes."""
    return blurred(planes.permute(1, 2, 0), px).permute(2, 0, 1)


def blurred(plane: Tensor, px: int, *, repeat_edge: bool = False) -> Tensor:
    """Return means over squares of side ``2 * px + 1`` of (h, w, c).

    The picture is mirrored at its edge: with ``repeat_edge`` the edge pixel too.
    """
    ones = (1.0,) * (2 * px + 1)
    across = _weighted(plane, 1, ones, repeat_edge=repeat_edge)
    return _weighted(across, 0, ones, repeat_edge=repeat_edge) / ((2 * px + 1) ** 2)


def _gaussian(plane: Tensor, sigma: float) -> Tensor:
    # As OpenCV chooses it for float pictures.
    side = int(np.rint(sigma * 8 + 1)) | 1
    taps = tuple(float(tap) for tap in cv2.getGaussianKernel(side, sigma, cv2.CV_32F)[:, 0])
    across = _weighted(plane, 1, taps, repeat_edge=False)
    return _weighted(across, 0, taps, repeat_edge=False)


def _weighted(plane: Tensor, axis: int, taps: Sequence[float], *, repeat_edge: bool) -> Tensor:
    """Sum shifted copies of (h, w, c) along an axis, mirrored at the edges."""
    size, reach = plane.shape[axis], len(taps) // 2
    padded = _picked(plane, _mirrored(size, reach, repeat_edge), axis)
    total = torch.zeros_like(plane)
    for step, tap in enumerate(taps):
        if tap != 0.0:
            part = padded.narrow(axis, step, size)
            total = total + (part if tap == 1.0 else part * tap)
    return total


def _mirrored(
    size: int, reach: int, repeat_edge: bool
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return which pixels stand at -reach to size + reach - 1."""
    at = np.arange(-reach, size + reach)
    if repeat_edge:
        at = at % (2 * size)
        return np.where(at < size, at, 2 * size - 1 - at)
    if size == 1:
        return np.zeros_like(at)
    at = at % (2 * size - 2)
    return np.where(at < size, at, 2 * size - 2 - at)


def _held(size: int, wanted: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.minimum(np.arange(wanted), size - 1)


def _picked(
    plane: Tensor, indices: np.ndarray[tuple[int], np.dtype[np.int64]], axis: int = 1
) -> Tensor:
    if len(indices) == plane.shape[axis] and bool((indices == np.arange(len(indices))).all()):
        return plane
    return plane.index_select(axis, torch.from_numpy(indices).to(plane.device))


def _doubled(plane: Tensor) -> Tensor:
    """Return (h, w, c) at twice its size, linearly, edges held."""
    for axis in (1, 0):
        size = plane.shape[axis]
        before = _picked(plane, np.maximum(np.arange(size) - 1, 0), axis)
        after = _picked(plane, np.minimum(np.arange(size) + 1, size - 1), axis)
        pair = torch.stack(
            [0.25 * before + 0.75 * plane, 0.75 * plane + 0.25 * after], dim=axis + 1
        )
        shape = list(plane.shape)
        shape[axis] = 2 * size
        plane = pair.reshape(shape)
    return plane
