"""Shots with a known answer: scikit-image photographs seen by known cameras.

Every case is a plate with an object in it, the matte of the object and the plate without it,
in scene-linear light, with exposure drift and grain of its own on every frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from skimage import data

WIDTH, HEIGHT, FRAMES = 480, 270, 20


@dataclass(frozen=True)
class Case:
    """One shot: (n, h, w, 3) plates and truths, (n, h, w) mattes."""

    name: str
    kind: str
    plates: np.ndarray
    mattes: np.ndarray
    truths: np.ndarray


def linear(picture: np.ndarray) -> np.ndarray:
    """Return linear light of an 8-bit sRGB picture, (h, w, 3)."""
    coded = picture.astype(np.float32) / 255.0
    if coded.ndim == 2:
        coded = np.repeat(coded[..., None], 3, axis=2)
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4).astype(
        np.float32
    )


def photograph(name: str) -> np.ndarray:
    """Return a photograph in linear light, at least 620 pixels wide."""
    picture = linear(getattr(data, name)())
    scale = max(1.0, 620.0 / picture.shape[1], 360.0 / picture.shape[0])
    if scale > 1.0:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        picture = np.maximum(picture, 0.0)
    return picture


def camera(kind: str, index: int, size: tuple[int, int]) -> np.ndarray:
    """Return the matrix from frame pixels to photograph pixels."""
    columns, rows = size
    u = index - (FRAMES - 1) / 2.0
    dx, dy, angle, zoom, tilt = {
        "tripod": (0.0, 0.0, 0.0, 0.0, 0.0),
        "pan": (4.1, 0.7, 0.0, 0.0, 0.0),
        "roll": (2.2, 0.4, 0.35, 0.0, 0.0),
        "zoom": (1.3, 0.3, 0.05, 0.006, 0.0),
        "tilt": (2.7, -0.6, 0.1, 0.002, 1.2e-5),
    }[kind]
    scale = 1.0 + zoom * u
    cos, sin = np.cos(np.deg2rad(angle * u)) * scale, np.sin(np.deg2rad(angle * u)) * scale
    centre = np.array([[1, 0, -WIDTH / 2], [0, 1, -HEIGHT / 2], [0, 0, 1]], np.float64)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [tilt * u, 0, 1]], np.float64)
    place = np.array(
        [[1, 0, columns / 2 + dx * u], [0, 1, rows / 2 + dy * u], [0, 0, 1]], np.float64
    )
    return place @ turn @ centre


def blob(x: float, y: float, width: float, height: float, soft: float = 1.2) -> np.ndarray:
    """Return a soft, slightly irregular matte, (h, w)."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    angle = np.arctan2((rows - y) / height, (columns - x) / width)
    radius = np.hypot((columns - x) / width, (rows - y) / height)
    edge = 1.0 + 0.12 * np.sin(3 * angle + 1.0) + 0.07 * np.sin(5 * angle)
    matte = np.clip((edge - radius) * min(width, height) / (2 * soft) + 0.5, 0.0, 1.0)
    return matte.astype(np.float32)


def exposed(light: np.ndarray, index: int, drift: float, seed: int) -> np.ndarray:
    """Return light as the camera records it: exposure, white balance and grain."""
    random = np.random.default_rng([seed, index])
    turn = 2 * np.pi * index / 17.0
    stops = drift * np.array([np.sin(turn), 0.9 * np.sin(turn), np.sin(turn + 0.3)])
    noise = cv2.GaussianBlur(random.standard_normal(light.shape).astype(np.float32), (0, 0), 0.55)
    noise /= noise.std()
    lit = light * np.exp2(stops).astype(np.float32)
    return lit + np.sqrt(1e-6 + 1.2e-4 * np.maximum(lit, 0.0)) * noise


def shot(
    name: str,
    kind: str,
    picture: np.ndarray,
    move: str,
    path: Callable[[int], tuple[float, float]],
    size: tuple[float, float],
    drift: float = 0.12,
    frames: int = FRAMES,
) -> Case:
    """Render a case: ``picture`` seen by the camera ``move``, an object along ``path``."""
    plates, mattes, truths = [], [], []
    texture = np.random.default_rng(5).uniform(0.02, 0.5, (9, 9, 3)).astype(np.float32)
    sprite = cv2.resize(texture, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    for index in range(frames):
        matrix = camera(move, index, (picture.shape[1], picture.shape[0]))
        clean = cv2.warpPerspective(
            picture,
            matrix,
            (WIDTH, HEIGHT),
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        clean = np.maximum(clean, 0.0)
        x, y = path(index)
        matte = blob(x, y, *size)
        object_light = np.roll(sprite, (int(y), int(x)), axis=(0, 1))
        mixed = clean * (1 - matte[..., None]) + object_light * matte[..., None]
        seed = sum(map(ord, name))
        truth = exposed(clean, index, drift, seed)
        plate = np.where(matte[..., None] > 0, exposed(mixed, index, drift, seed), truth)
        plates.append(plate)
        mattes.append(matte)
        truths.append(truth)
    return Case(
        name,
        kind,
        np.array(plates, np.float32),
        np.array(mattes, np.float32),
        np.array(truths, np.float32),
    )


def across(speed: float, y: float = 140.0) -> Callable[[int], tuple[float, float]]:
    """Return a path through the frame from left to right."""
    return lambda i: (WIDTH / 2 + speed * (i - FRAMES / 2), y + 10 * np.sin(i / 3.0))


def still_at(x: float, y: float) -> Callable[[int], tuple[float, float]]:
    """Return a path that does not move."""
    return lambda _: (x, y)


def bright(picture: np.ndarray) -> np.ndarray:
    """Return a photograph whose highlights reach far above white."""
    hot = np.clip((picture.max(axis=2) - 0.55) / 0.45, 0.0, 1.0)[..., None]
    return (picture * (1.0 + 25.0 * hot**2)).astype(np.float32)


def layered(name: str, far: np.ndarray, near: np.ndarray) -> Case:
    """Render two planes at different depths: the lower third moves twice as fast."""
    upper = shot(name, "moving", far, "pan", across(15.0), (36, 52))
    lower_moves = []
    for index in range(FRAMES):
        u = index - (FRAMES - 1) / 2.0
        matrix = np.array(
            [[1, 0.15, near.shape[1] / 2 - WIDTH / 2 + 8.6 * u], [0, 1, 40], [0, 0, 1]], np.float64
        )
        lower_moves.append(
            np.maximum(
                cv2.warpPerspective(
                    near,
                    matrix,
                    (WIDTH, HEIGHT),
                    flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
                    borderMode=cv2.BORDER_REFLECT_101,
                ),
                0.0,
            )
        )
    edge = 165
    truths, plates = upper.truths.copy(), upper.plates.copy()
    for index, ground in enumerate(lower_moves):
        lit = exposed(ground, index, 0.12, 77)
        truths[index, edge:] = lit[edge:]
        alpha = upper.mattes[index, edge:, :, None]
        plates[index, edge:] = np.where(
            alpha > 0, lit[edge:] * (1 - alpha) + upper.plates[index, edge:] * alpha, lit[edge:]
        )
    return Case(name, "moving", plates, upper.mattes, truths)


def cases() -> Iterator[Case]:
    """Yield every case. Kinds: moving, tripod, static, hdr, still."""
    rocket, coffee, cat = photograph("rocket"), photograph("coffee"), photograph("chelsea")
    astronaut, brick = photograph("astronaut"), photograph("brick")
    yield shot("pan rocket", "moving", rocket, "pan", across(14.0), (38, 56))
    yield shot("roll coffee", "moving", coffee, "roll", across(16.0), (40, 50))
    yield shot("zoom cat", "moving", cat, "zoom", across(-17.0), (36, 48))
    yield shot("tilt astronaut", "moving", astronaut, "tilt", across(15.0), (40, 60))
    yield shot("pan brick", "moving", brick, "pan", across(15.0), (40, 55))
    yield layered("two layers", rocket, photograph("gravel"))
    yield shot("tripod coffee", "tripod", coffee, "tripod", across(14.0), (40, 55))
    yield shot("tripod rocket", "tripod", rocket, "tripod", across(-13.0), (36, 60), drift=0.2)
    yield shot("hdr rocket", "hdr", bright(rocket), "pan", across(14.0, 190.0), (40, 50))
    yield shot("hdr coffee", "hdr", bright(coffee), "roll", across(15.0), (40, 55), drift=0.25)
    yield shot("static brick", "static", brick, "tripod", still_at(240, 130), (34, 40), frames=6)
    yield shot("static coffee", "static", coffee, "tripod", still_at(120, 90), (36, 40), frames=6)
    stills = (("brick", 240, 130), ("grass", 240, 130), ("gravel", 200, 120), ("coffee", 390, 100))
    for name, x, y in stills:
        yield shot(
            f"still {name}", "still", photograph(name), "tripod", still_at(x, y), (36, 42), frames=1
        )
    yield shot("still rocket", "still", rocket, "tripod", still_at(330, 60), (40, 42), frames=1)
    yield shot("still cat", "still", cat, "tripod", still_at(300, 200), (36, 36), frames=1)
