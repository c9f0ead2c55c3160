"""Draw ``GenAIFill.png``: a plate with a hole that is being filled.

Signed distances, four samples a pixel each way; run it again after changing it. Needs numpy
and OpenImageIO, which the backend's environment has; Nuke never runs this.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import OpenImageIO as oiio  # noqa: N813 - the name that everybody gives it

SIZE_PX = 48
SAMPLES = 4
FRAME, SCREEN, HOLE, FILL, SPARK = (
    (0.11, 0.13, 0.15),
    (0.25, 0.44, 0.56),
    (0.06, 0.07, 0.08),
    (0.96, 0.69, 0.26),
    (1.0, 0.95, 0.82),
)

Plane = npt.NDArray[np.float64]


def _rounded_box(x: Plane, y: Plane, half: float, radius: float) -> Plane:
    dx, dy = np.abs(x) - half + radius, np.abs(y) - half + radius
    outside = np.hypot(np.maximum(dx, 0), np.maximum(dy, 0))
    return outside + np.minimum(np.maximum(dx, dy), 0) - radius


def _star(x: Plane, y: Plane, size: float) -> Plane:
    """A four-pointed spark: the astroid |x|^(1/2) + |y|^(1/2) = size^(1/2), negative inside."""
    return np.sqrt(np.abs(x)) + np.sqrt(np.abs(y)) - np.sqrt(size)


def draw(size_px: int = SIZE_PX) -> npt.NDArray[np.uint8]:
    """Return the icon as (size, size, 4), unassociated alpha."""
    steps = size_px * SAMPLES
    axis = (np.arange(steps) + 0.5) / steps * 2 - 1
    x, y = np.meshgrid(axis, axis)
    colour = np.zeros((steps, steps, 3))
    alpha = _rounded_box(x, y, 0.94, 0.24) < 0
    layers = (
        (alpha, FRAME),
        (_rounded_box(x, y, 0.78, 0.12) < 0, SCREEN),
        (np.hypot(x + 0.06, y - 0.08) < 0.52, HOLE),
        ((np.hypot(x + 0.06, y - 0.08) < 0.44) & (y - 0.08 > -0.35 * x), FILL),
        (_star(x - 0.42, y + 0.42, 0.46) < 0, SPARK),
    )
    for inside, rgb in layers:
        colour[inside] = rgb
    weight = alpha.astype(float)
    cells = (size_px, SAMPLES, size_px, SAMPLES)
    coverage = weight.reshape(cells).mean((1, 3))
    summed = (colour * weight[..., None]).reshape(*cells, 3).mean((1, 3))
    rgb = summed / np.maximum(coverage, 1e-6)[..., None]
    return np.round(np.dstack([rgb, coverage]) * 255).astype(np.uint8)


def main() -> None:
    """Write the icon beside this script."""
    path = Path(__file__).with_name("GenAIFill.png")
    spec = oiio.ImageSpec(SIZE_PX, SIZE_PX, 4, "uint8")
    spec.attribute("oiio:UnassociatedAlpha", 1)
    out = oiio.ImageOutput.create(str(path))
    out.open(str(path), spec)
    out.write_image(draw())
    out.close()


if __name__ == "__main__":
    main()
