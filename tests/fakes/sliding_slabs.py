"""A shot with more depths than planes: upright slabs that slide past each other."""

from __future__ import annotations

import cv2
import numpy as np

DEPTHS = (1.0, 2.5, 4.0, 5.5, 7.5)
WIDTH, HEIGHT, FRAMES = 320, 200, 12


def _texture(seed, width):
    random = np.random.default_rng(seed)
    fine = cv2.GaussianBlur(random.uniform(0, 1, (HEIGHT, width, 3)), (0, 0), 1.4)
    coarse = cv2.GaussianBlur(random.uniform(0, 1, (HEIGHT, width, 3)), (0, 0), 9.0)
    mixed = 0.5 * fine / fine.std() + coarse / coarse.std()
    tint = np.random.default_rng(90 + seed).uniform(0.5, 1.5, 3)
    return (0.2 * np.exp(0.35 * (mixed - mixed.mean())) * tint).astype(np.float32)


def five_depths():
    """Return plates, mattes and truths of upright slabs at five depths, a camera sliding by."""
    layers = [_texture(i, WIDTH + 140) for i in range(len(DEPTHS))]
    plates, mattes, truths = [], [], []
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    for frame in range(FRAMES):
        clean = np.zeros((HEIGHT, WIDTH, 3), np.float32)
        for number, (speed, layer) in enumerate(zip(DEPTHS, layers, strict=True)):
            shift = 60.0 - speed * (frame - FRAMES / 2)
            moved = cv2.remap(layer, columns + np.float32(60 + 60 - shift), rows, cv2.INTER_CUBIC)
            start = 36 + 62 * (number - 1) + speed * (FRAMES / 2 - frame)
            inside = (columns > start) & (columns < start + 44) & (rows > 30 + 20 * number)
            clean = np.where((inside | (number == 0))[..., None], moved, clean)
        matte = (np.hypot(columns - (40 + 21 * frame), 0.7 * (rows - 110)) < 30).astype(np.float32)
        truths.append(clean)
        mattes.append(matte)
        plates.append(np.where(matte[..., None] > 0, 0.9, clean))
    return (np.array(stack, np.float32) for stack in (plates, mattes, truths))
