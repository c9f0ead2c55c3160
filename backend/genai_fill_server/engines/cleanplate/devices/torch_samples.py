"""Reading pictures between their pixels in torch: bilinear, perspective and Lanczos.

Pictures are (h, w, c) tensors, places are in pixels. The counterparts of `kernels.sample`,
`encoding` and OpenCV's remap.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genai_fill_server.engines.cleanplate.encoding import KNEE
from genai_fill_server.engines.cleanplate.kernels import PHASES, TAPS

_KNEE = float(KNEE)
_LEAST_NORM = 0.3
_BITE = 2**19
"""So many samples at once: bounds what a large hole takes of the device's memory."""


def encode(linear: Tensor) -> Tensor:
    """Return `encoding.encode` of scene-linear values."""
    return torch.copysign(torch.log1p(linear.abs() / _KNEE), linear)


def decode(encoded: Tensor) -> Tensor:
    """Return the scene-linear values of `encode`'s."""
    return torch.copysign(torch.expm1(encoded.abs()) * _KNEE, encoded)


def brightened(encoded: Tensor, log2_gain: Tensor) -> Tensor:
    """Multiply encoded pixels by ``2 ** log2_gain`` in linear light."""
    return encode(decode(encoded) * torch.exp2(log2_gain))


def bilinear(image: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Read ``image`` (h, w, c) at places of any shape (...): (..., c). The edge is repeated."""
    height, width = image.shape[:2]
    x = torch.nan_to_num(x).clamp(0, width - 1)
    y = torch.nan_to_num(y).clamp(0, height - 1)
    x0, y0 = x.floor(), y.floor()
    share_x, share_y = (x - x0)[..., None], (y - y0)[..., None]
    left, top = x0.long(), y0.long()
    right, bottom = (left + 1).clamp(max=width - 1), (top + 1).clamp(max=height - 1)
    above = torch.lerp(image[top, left], image[top, right], share_x)
    below = torch.lerp(image[bottom, left], image[bottom, right], share_x)
    return torch.lerp(above, below, share_y)


def warped(image: Tensor, matrix: Tensor, size: tuple[int, int]) -> Tensor:
    """Return bytes (h, w) seen through ``matrix`` (float64) from result to ``image``.

    ``size`` is (width, height) of the result; outside the image it is 0.
    """
    width, height = size
    rows = torch.arange(height, dtype=torch.float64, device=image.device)[:, None]
    columns = torch.arange(width, dtype=torch.float64, device=image.device)[None]
    across, down, depth = (row[0] * columns + row[1] * rows + row[2] for row in matrix)
    x, y = (across / depth).float(), (down / depth).float()
    framed = torch.zeros((image.shape[0] + 2, image.shape[1] + 2, 1), device=image.device)
    framed[1:-1, 1:-1, 0] = image.float()
    read = bilinear(framed, x + 1.0, y + 1.0)[..., 0]
    seen = torch.isfinite(x) & torch.isfinite(y)
    return torch.where(seen, read.round().clamp(0, 255), 0.0).to(torch.uint8)


def lanczos(image: Tensor, blocked: Tensor, place: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
    """Return samples (n, c) of ``image`` (h, w, c) at ``place`` (n, 2: x, y), and which exist.

    Does what `kernels.sample` does, for any number of channels. ``blocked`` (h, w) is True
    where nothing may be taken; ``table`` is `kernels.lanczos_table`.
    """
    starts = range(0, max(1, len(place)), _BITE)
    bites = [place[start : start + _BITE] for start in starts]
    parts = [_lanczos(image, blocked, bite, table) for bite in bites]
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


def _lanczos(image: Tensor, blocked: Tensor, place: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
    height, width = blocked.shape
    x, y = place[:, 0], place[:, 1]
    inside = (x > -0.5) & (y > -0.5) & (x < width - 0.5) & (y < height - 0.5)
    columns, across = _taps(torch.where(inside, x, 0.0), width, table)
    rows, down = _taps(torch.where(inside, y, 0.0), height, table)
    pixels, open_ = image.reshape(height * width, -1), ~blocked.reshape(-1)
    found = inside
    for row in (2, 3):
        for column in (2, 3):
            found = found & open_[rows[row] * width + columns[column]]
    sums = torch.zeros((len(place), pixels.shape[1]), device=image.device)
    low, high = torch.full_like(sums, torch.inf), torch.full_like(sums, -torch.inf)
    norm = torch.zeros((len(place), 1), device=image.device)
    for row in range(TAPS):
        for column in range(TAPS):
            at = rows[row] * width + columns[column]
            usable, value = open_[at][:, None], pixels[at]
            weight = torch.where(usable, (down[:, row] * across[:, column])[:, None], 0.0)
            norm = norm + weight
            sums = sums + torch.where(usable, weight * value, 0.0)
            if 1 <= row <= 4 and 1 <= column <= 4:
                low = torch.where(usable, torch.minimum(low, value), low)
                high = torch.where(usable, torch.maximum(high, value), high)
    value = torch.where(norm > _LEAST_NORM, sums / norm, 0.5 * (low + high))
    held = torch.minimum(torch.maximum(value, low), high)
    return torch.where(found[:, None], held, 0.0), found


def _taps(position: Tensor, size: int, table: Tensor) -> tuple[list[Tensor], Tensor]:
    """Return the six pixels round each position, held inside, and their weights (n, 6)."""
    exact = position.double()
    first = exact.floor()
    phase = ((exact - first) * PHASES + 0.5).long()
    start = first.long()
    return [(start + tap - 2).clamp(0, size - 1) for tap in range(TAPS)], table[phase]
