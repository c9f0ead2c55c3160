"""What a hole would show if it were only areas of colour: borders carried on, areas filled.

Colours round the hole are sorted into a few classes. How much a pixel belongs to each is
continued into the hole as a thin plate (J. Duchon, 1977: the surface that bends least), which
carries a border on with its direction and curvature; each pixel then takes the strongest
class, so borders stay sharp. Texture and shading are left to patches.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from genai_fill_server.engines.cleanplate.diffusion import pull_push
from genai_fill_server.engines.cleanplate.encoding import Floats

Mask = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]

_CLASSES = 5
_ROUNDS = 12
_MOST_SAMPLES = 4000
_MOST_STEPS = 400
_EXACT = 1e-4
_REACH_PX = 8
"""What lies further from a hole has no part in its borders: they need some pixels each side."""


def areas(image: Floats, hole: Mask) -> Floats:
    """Return ``image`` (h, w, 3, encoded) with ``hole`` filled by areas of even colour.

    ``image`` has to hold something finite everywhere. Without anything known round the hole
    it comes back as it is.
    """
    if hole.all():
        return image
    thick = float(cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 3).max())
    side = 2 * int(np.ceil(thick)) + 3
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    ring = (cv2.dilate(hole.astype(np.uint8), disc) > 0) & ~hole
    if not ring.any():
        return image
    even = np.asarray(cv2.bilateralFilter(image, 5, 0.5, 2.0), np.float32)
    centres = _centres(even[ring])
    filled = image.copy()
    for part, mine in _parts(hole):
        carried = _carried(even[part], hole[part], centres)
        filled[part][mine] = centres[carried[mine]]
    return filled


def _parts(hole: Mask) -> list[tuple[tuple[slice, slice], Mask]]:
    """Return windows (rows, columns) round what hangs together of ``hole``, and that in each.

    Holes that are far apart have nothing to do with each other: a marker in each corner of a
    frame then costs what markers cost, not what the frame between them does.
    """
    side = 2 * _REACH_PX + 1
    near = cv2.dilate(hole.astype(np.uint8), np.ones((side, side), np.uint8))
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
    found = []
    for number, (x, y, width, height, _) in enumerate(boxes[1:], start=1):
        part = np.s_[int(y) : int(y + height), int(x) : int(x + width)]
        found.append((part, np.asarray((labels[part] == number) & hole[part], np.bool_)))
    return found


def _carried(even: Floats, hole: Mask, centres: Doubles) -> npt.NDArray[np.intp]:
    """Return which of the classes has each pixel, those round ``hole`` carried into it."""
    classes = _nearest_class(even, centres)
    known = (~hole).astype(np.float32)
    mass = np.maximum(cv2.GaussianBlur(known, (0, 0), 1.0), 1e-3)
    shares = np.dstack(
        [cv2.GaussianBlur(known * (classes == k), (0, 0), 1.0) / mass for k in range(len(centres))]
    )
    return np.asarray(thin_plate(shares.astype(np.float64), hole).argmax(axis=2), np.intp)


def _centres(colours: Floats) -> Doubles:
    """Return the colours (k, 3) that stand for all: k-means from the most distant ones."""
    samples = colours[:: max(1, len(colours) // _MOST_SAMPLES)].astype(np.float64)
    chosen = [samples.mean(axis=0)]
    chosen[0] = samples[((samples - chosen[0]) ** 2).sum(axis=1).argmin()]
    while len(chosen) < _CLASSES:
        apart = np.min([((samples - one) ** 2).sum(axis=1) for one in chosen], axis=0)
        if apart.max() <= 1e-12:
            break
        # The most distant of all is often a speck: a high percentile stands for more.
        order = np.argsort(apart, kind="stable")
        chosen.append(samples[order[int(0.97 * (len(order) - 1))]])
    centres = np.array(chosen)
    for _ in range(_ROUNDS):
        nearest = ((samples[:, None] - centres[None]) ** 2).sum(axis=2).argmin(axis=1)
        for k in range(len(centres)):
            if (nearest == k).any():
                centres[k] = samples[nearest == k].mean(axis=0)
    return centres


def _nearest_class(image: Floats, centres: Doubles) -> npt.NDArray[np.intp]:
    apart = [((image - centre) ** 2).sum(axis=2) for centre in centres]
    return np.asarray(np.argmin(np.stack(apart), axis=0), np.intp)


def _bending(surface: Doubles) -> Doubles:
    """Return the gradient of the squared Laplacian, summed where a pixel has neighbours."""
    across = np.zeros_like(surface)
    across[:, 1:-1] = surface[:, 2:] + surface[:, :-2] - 2 * surface[:, 1:-1]
    down = np.zeros_like(surface)
    down[1:-1] = surface[2:] + surface[:-2] - 2 * surface[1:-1]
    laplacian = across + down
    result = np.zeros_like(surface)
    # The adjoint of each second difference, so that the whole is symmetric.
    inner = laplacian[:, 1:-1]
    result[:, 2:] += inner
    result[:, :-2] += inner
    result[:, 1:-1] -= 2 * inner
    middle = laplacian[1:-1]
    result[2:] += middle
    result[:-2] += middle
    result[1:-1] -= 2 * middle
    return result


def thin_plate(values: Doubles, hole: Mask) -> Doubles:
    """Return ``values`` (h, w, k) with ``hole`` filled by the surface that bends least.

    Conjugate gradients, stopped once the surface stands still to a ten-thousandth.
    """
    inside = hole[..., None].astype(np.float64)
    surface = np.where(hole[..., None], pull_push_of(values, hole), values)
    rest = -_bending(surface) * inside
    way, power = rest.copy(), float((rest * rest).sum())
    enough = _EXACT**2 * max(power, 1e-30)
    for _ in range(_MOST_STEPS):
        if power <= enough:
            break
        bent = _bending(way) * inside
        step = power / max(float((way * bent).sum()), 1e-30)
        surface = surface + step * way
        rest = rest - step * bent
        before, power = power, float((rest * rest).sum())
        way = rest + (power / before) * way
    return surface


def pull_push_of(values: Doubles, hole: Mask) -> Doubles:
    """Return `pull_push` of any number of planes (h, w, k)."""
    known = (~hole).astype(np.float32)
    planes = [
        pull_push(np.ascontiguousarray(p, np.float32), known) for p in np.moveaxis(values, 2, 0)
    ]
    return np.dstack(planes).astype(np.float64)
