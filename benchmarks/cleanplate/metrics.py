"""What is measured inside the matte, on display-coded pictures unless said otherwise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from skimage.metrics import structural_similarity


def display(linear: np.ndarray) -> np.ndarray:
    """Return light clipped to 0 to 1 and sRGB-encoded, float32."""
    light = np.clip(linear, 0.0, 1.0)
    curve = 1.055 * np.power(np.maximum(light, 1e-9), 1 / 2.4) - 0.055
    return np.where(light <= 0.0031308, 12.92 * light, curve).astype(np.float32)


@dataclass(frozen=True)
class Score:
    """One fill of one case.

    ``gradient`` is the mean deviation of gradient magnitude, ``detail`` the ratio of
    high-frequency energy (1: as the truth), ``flicker`` the mean change of the error from
    frame to frame after a blur of 1.5 pixels (so that grain does not count), ``highlights``
    the ratio of the mean light of what is above 1 in the truth.
    """

    psnr: float
    ssim: float
    gradient: float
    detail: float
    flicker: float
    highlights: float


def _slope(grey: np.ndarray) -> np.ndarray:
    return np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)) / 8.0


def _fine(grey: np.ndarray) -> np.ndarray:
    return grey - cv2.GaussianBlur(grey, (0, 0), 1.2)


def score(filled: np.ndarray, truths: np.ndarray, mattes: np.ndarray) -> Score:
    """Measure scene-linear fills (n, h, w, 3) against the truth inside the mattes."""
    errors, similar, slopes, fines, true_fines = [], [], [], [], []
    hot, true_hot, changes = 0.0, 0.0, []
    before: np.ndarray | None = None
    for fill, truth, matte in zip(filled, truths, mattes, strict=True):
        hole = matte > 0.0
        a, b = display(fill), display(truth)
        errors.append(((a - b)[hole] ** 2).ravel())
        grey_a, grey_b = a.mean(axis=2), b.mean(axis=2)
        _, full = structural_similarity(grey_a, grey_b, data_range=1.0, full=True)
        similar.append(full[hole])
        slopes.append(np.abs(_slope(grey_a) - _slope(grey_b))[hole])
        core = cv2.erode(hole.astype(np.uint8), np.ones((5, 5))) > 0
        fines.append(_fine(grey_a)[core] ** 2)
        true_fines.append(_fine(grey_b)[core] ** 2)
        over = hole[..., None] & (truth > 1.0)
        hot, true_hot = hot + float(fill[over].sum()), true_hot + float(truth[over].sum())
        error = cv2.GaussianBlur(np.where(hole, grey_a - grey_b, 0.0), (0, 0), 1.5)
        if before is not None:
            changes.append(np.abs(error - before)[hole])
        before = error
    detail = np.sqrt(np.concatenate(fines).mean() / max(1e-12, np.concatenate(true_fines).mean()))
    return Score(
        psnr=float(-10 * np.log10(np.concatenate(errors).mean())),
        ssim=float(np.concatenate(similar).mean()),
        gradient=float(np.concatenate(slopes).mean()),
        detail=float(detail),
        flicker=float(np.concatenate(changes).mean()) if changes else 0.0,
        highlights=hot / true_hot if true_hot > 0 else 1.0,
    )
