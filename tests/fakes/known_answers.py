"""Shots whose answer is known: procedural pictures under known cameras, an object in front."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class KnownShot:
    """(n, h, w, 3) plates with an object, the same without it, and the object's mattes."""

    plates: np.ndarray
    truths: np.ndarray
    mattes: np.ndarray


def picture(seed: int = 3, width: int = 520, height: int = 340) -> np.ndarray:
    """Return a scene-linear picture with large shapes, fine texture and hard edges."""
    random = np.random.default_rng(seed)
    light = np.zeros((height, width, 3), np.float32)
    for size in (40, 12, 4, 1.5):
        noise = random.standard_normal((height, width, 3)).astype(np.float32)
        smooth = cv2.GaussianBlur(noise, (0, 0), size)
        light += 0.25 * smooth / smooth.std()
    for _ in range(40):
        x, y = random.integers(0, width), random.integers(0, height)
        shade = random.uniform(-1, 1, 3)
        corner = (int(x + random.integers(8, 50)), int(y + random.integers(8, 50)))
        cv2.rectangle(light, (int(x), int(y)), corner, shade.tolist(), -1, cv2.LINE_AA)
    return (0.18 * np.exp2(light)).astype(np.float32)


def seen(scene: np.ndarray, matrix: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return the scene through a matrix from frame pixels to scene pixels."""
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return np.maximum(cv2.warpPerspective(scene, matrix, (width, height), flags=flags), 0.0)


def camera(
    index: float, *, pan=(0.0, 0.0), turn_deg=0.0, zoom=0.0, size=(220, 150), start=(150, 90)
) -> np.ndarray:
    """Return the matrix of a camera at a frame: pan in pixels, turn and zoom a frame."""
    scale, angle = 1.0 + zoom * index, np.deg2rad(turn_deg * index)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    centre = np.array([[1, 0, -size[0] / 2], [0, 1, -size[1] / 2], [0, 0, 1]])
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    x, y = start[0] + size[0] / 2 + pan[0] * index, start[1] + size[1] / 2 + pan[1] * index
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]]) @ turn @ centre


def disc(x: float, y: float, radius: float, width: int, height: int) -> np.ndarray:
    """Return a soft disc, 0 outside."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.clip(radius + 0.5 - np.hypot(columns - x, rows - y), 0.0, 1.0)


def known_shot(
    *,
    frames: int = 12,
    width: int = 220,
    height: int = 150,
    scene: np.ndarray | None = None,
    stops_a_frame: float = 0.0,
    radius: float = 16.0,
    speed: float = 9.0,
    grain: float = 0.0,
    **moves,
) -> KnownShot:
    """Return a disc that crosses a picture; ``moves`` are those of `camera`."""
    scene = picture() if scene is None else scene
    plates, truths, mattes = [], [], []
    for index in range(frames):
        matrix = camera(index - frames / 2, size=(width, height), **moves)
        clean = seen(scene, matrix, width, height) * 2.0 ** (stops_a_frame * index)
        noise = np.random.default_rng([9, index]).standard_normal(clean.shape)
        # Film and demosaiced grain is never white: neighbours share some of it.
        noise = cv2.GaussianBlur(noise, (0, 0), 0.55)
        noise /= noise.std()
        clean = (clean + grain * noise).astype(np.float32)
        matte = disc(width / 2 + speed * (index - frames / 2), height / 2, radius, width, height)
        solid = np.array([0.9, 0.1, 0.4], np.float32)
        mixed = clean * (1 - matte[..., None]) + solid * matte[..., None]
        plates.append(np.where(matte[..., None] > 0, mixed, clean))
        truths.append(clean)
        mattes.append(matte)
    return KnownShot(
        np.array(plates, np.float32), np.array(truths, np.float32), np.array(mattes, np.float32)
    )


def two_layers(frames: int = 12) -> KnownShot:
    """Return a shot whose lower part is nearer and moves more than twice as fast."""
    far = known_shot(frames=frames, pan=(2.0, 0.0), speed=11.0)
    near = known_shot(frames=frames, pan=(5.5, 0.0), speed=11.0, scene=picture(8))
    edge = 80
    joined = []
    for above, below in zip(
        (far.plates, far.truths, far.mattes), (near.plates, near.truths, near.mattes), strict=True
    ):
        both = above.copy()
        both[:, edge:] = below[:, edge:]
        joined.append(both)
    return KnownShot(*joined)


def relief_shot(frames: int = 8, depth_px: float = 1.0) -> KnownShot:
    """Return a shot whose ground is not quite a plane: hills slide by up to ``depth_px``."""
    flat = known_shot(frames=frames, pan=(2.0, 0.0))
    height, width = flat.mattes.shape[1:]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    hills = depth_px * np.sin(columns / 12) * np.cos(rows / 10)
    truths = []
    for index, truth in enumerate(flat.truths):
        place = (columns + hills * (index / (frames / 2) - 1)).astype(np.float32)
        bent = cv2.remap(truth, place, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        truths.append(bent)
    clean = np.array(truths, np.float32)
    plates = np.where(flat.mattes[..., None] > 0, np.float32(0.9), clean)
    return KnownShot(plates, clean, flat.mattes)


def psnr_db(filled: np.ndarray, truth: np.ndarray, matte: np.ndarray) -> float:
    """Return the PSNR under the matte of a 2.2-coded picture clipped at 1, in dB."""
    coded = [np.clip(p, 0, 1) ** (1 / 2.2) for p in (filled, truth)]
    return float(-10 * np.log10(np.mean((coded[0] - coded[1])[matte > 0] ** 2)))
