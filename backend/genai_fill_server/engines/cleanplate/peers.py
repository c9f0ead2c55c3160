"""Fills that others use, to measure the engine against. Not offered to artists.

All work on display-coded pictures (h, w, 3) from 0 to 1, one frame at a time, and change only
the marked pixels.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from genai_fill_server.engines.cleanplate.encoding import Floats

Mask = npt.NDArray[np.bool_]

_RADIUS_PX = 5.0


def _inpainted(display: Floats, hole: Mask, method: int) -> Floats:
    coded = np.asarray(np.clip(display, 0.0, 1.0) * 255.0 + 0.5, np.uint8)
    # The pixel outside the matte is still mixed with the object by filtering; grow by one.
    marked = cv2.dilate(hole.astype(np.uint8), np.ones((3, 3), np.uint8))
    filled = cv2.inpaint(coded, marked, _RADIUS_PX, method).astype(np.float32) / 255.0
    return np.where(hole[..., None], filled, display).astype(np.float32)


def telea(display: Floats, hole: Mask) -> Floats:
    """Fast marching (A. Telea, J. Graphics Tools 2004), as OpenCV has it."""
    return _inpainted(display, hole, cv2.INPAINT_TELEA)


def navier_stokes(display: Floats, hole: Mask) -> Floats:
    """Fluid transport of isophotes (M. Bertalmio et al., CVPR 2001), as OpenCV has it."""
    return _inpainted(display, hole, cv2.INPAINT_NS)
