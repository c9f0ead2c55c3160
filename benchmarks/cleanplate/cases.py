"""Shots with a known answer: scikit-image photographs seen by known cameras.

Every case is a plate with an object in it, the matte of the object and the plate without it,
in scene-linear light, with exposure drift and grain of its own on every frame. Variant 0 is
the published set. Any other number makes a set of its own: other photographs, parts of them,
cameras, objects and exposures, to see whether a figure holds on what nobody has looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from skimage import data

from benchmarks.cleanplate.shots import (
    FRAMES,
    HEIGHT,
    WIDTH,
    Case,
    Look,
    Path,
    across,
    covered,
    exposed,
    linear,
    still_at,
)

PICTURES = ("rocket", "coffee", "chelsea", "astronaut", "brick", "camera", "coins", "moon")
GROUNDS = ("gravel", "grass", "brick")


@dataclass(frozen=True)
class Camera:
    """How a photograph is looked at; ``gain`` scales the move, ``offset`` shifts the view."""

    move: str
    gain: float = 1.0
    offset: tuple[float, float] = (0.0, 0.0)


def photograph(name: str) -> np.ndarray:
    """Return a photograph in linear light, at least 620 pixels wide."""
    picture = linear(getattr(data, name)())
    scale = max(1.0, 620.0 / picture.shape[1], 360.0 / picture.shape[0])
    if scale > 1.0:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        picture = np.maximum(picture, 0.0)
    return picture


def camera(view: Camera, index: int, size: tuple[int, int]) -> np.ndarray:
    """Return the matrix from frame pixels to photograph pixels."""
    columns, rows = size
    u = view.gain * (index - (FRAMES - 1) / 2.0)
    dx, dy, angle, zoom, tilt = {
        "tripod": (0.0, 0.0, 0.0, 0.0, 0.0),
        "pan": (4.1, 0.7, 0.0, 0.0, 0.0),
        "roll": (2.2, 0.4, 0.35, 0.0, 0.0),
        "zoom": (1.3, 0.3, 0.05, 0.006, 0.0),
        "tilt": (2.7, -0.6, 0.1, 0.002, 1.2e-5),
    }[view.move]
    scale = 1.0 + zoom * u
    cos, sin = np.cos(np.deg2rad(angle * u)) * scale, np.sin(np.deg2rad(angle * u)) * scale
    centre = np.array([[1, 0, -WIDTH / 2], [0, 1, -HEIGHT / 2], [0, 0, 1]], np.float64)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [tilt * u, 0, 1]], np.float64)
    x, y = columns / 2 + dx * u + view.offset[0], rows / 2 + dy * u + view.offset[1]
    place = np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)
    return place @ turn @ centre


def seen(picture: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return the frame that ``matrix`` (frame to picture) shows of ``picture``."""
    return np.maximum(
        cv2.warpPerspective(
            picture,
            matrix,
            (WIDTH, HEIGHT),
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101,
        ),
        0.0,
    )


def shot(
    name: str,
    kind: str,
    picture: np.ndarray,
    view: Camera | str,
    path: Path,
    size: tuple[float, float],
    drift: float = 0.12,
    frames: int = FRAMES,
) -> Case:
    """Render a case: ``picture`` seen by a camera (or the plain move of that name)."""
    looked = Camera(view) if isinstance(view, str) else view
    columns_and_rows = (picture.shape[1], picture.shape[0])
    cleans = [seen(picture, camera(looked, i, columns_and_rows)) for i in range(frames)]
    return covered(name, kind, cleans, path, size, Look(sum(map(ord, name)), drift))


def bright(picture: np.ndarray) -> np.ndarray:
    """Return a photograph whose highlights reach far above white."""
    hot = np.clip((picture.max(axis=2) - 0.55) / 0.45, 0.0, 1.0)[..., None]
    return (picture * (1.0 + 25.0 * hot**2)).astype(np.float32)


def layered(
    name: str,
    far: np.ndarray,
    near: np.ndarray,
    path: Path | None = None,
    gain: float = 1.0,
    edge: int = 165,
) -> Case:
    """Render two planes at different depths: what is below ``edge`` moves twice as fast."""
    upper = shot(name, "moving", far, Camera("pan", gain), path or across(15.0), (36, 52))
    truths, plates = upper.truths.copy(), upper.plates.copy()
    for index in range(FRAMES):
        u = gain * (index - (FRAMES - 1) / 2.0)
        matrix = np.array(
            [[1, 0.15, near.shape[1] / 2 - WIDTH / 2 + 8.6 * u], [0, 1, 40], [0, 0, 1]], np.float64
        )
        lit = exposed(seen(near, matrix), index, Look(77))
        truths[index, edge:] = lit[edge:]
        alpha = upper.mattes[index, edge:, :, None]
        plates[index, edge:] = np.where(
            alpha > 0, lit[edge:] * (1 - alpha) + upper.plates[index, edge:] * alpha, lit[edge:]
        )
    return Case(name, "moving", plates, upper.mattes, truths)


def cases(variant: int = 0) -> Iterator[Case]:
    """Yield every case. Kinds: moving, tripod, hdr, static, still."""
    yield from _published() if variant == 0 else _drawn(np.random.default_rng([41, variant]))


def _published() -> Iterator[Case]:
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


def _drawn(random: np.random.Generator) -> Iterator[Case]:
    """Yield a set of cases drawn by ``random``; the same draw gives the same cases."""

    def camera_of(move: str) -> Camera:
        return Camera(
            move,
            float(random.uniform(0.7, 1.3) * random.choice([-1, 1])),
            (float(random.uniform(-12, 12)), float(random.uniform(-25, 25))),
        )

    def path() -> Path:
        speed = random.uniform(12.0, 18.0) * random.choice([-1, 1])
        return across(float(speed), float(random.uniform(95, 180)))

    def size() -> tuple[float, float]:
        return float(random.uniform(32, 44)), float(random.uniform(44, 62))

    def drift() -> float:
        return float(random.uniform(0.05, 0.25))

    for move, name in zip(
        ("pan", "roll", "zoom", "tilt", "pan"), random.permutation(PICTURES), strict=False
    ):
        picture = photograph(str(name))
        yield shot(f"{move} {name}", "moving", picture, camera_of(move), path(), size(), drift())
    far, near = random.choice(PICTURES[:4]), random.choice(GROUNDS)
    pictures = photograph(str(far)), photograph(str(near))
    gain, edge = float(random.uniform(0.6, 1.1)), int(random.integers(140, 190))
    yield layered(f"layers {far}", *pictures, path(), gain, edge)
    for kind, moves in (("tripod", ("tripod", "tripod")), ("hdr", ("pan", "tilt"))):
        for move, name in zip(moves, random.permutation(PICTURES[:6]), strict=False):
            picture = photograph(str(name))
            picture = bright(picture) if kind == "hdr" else picture
            label = f"{kind} {name}"
            yield shot(label, kind, picture, camera_of(move), path(), size(), drift())
    for kind, count in (("static", 2), ("still", 6)):
        for name in random.permutation((*PICTURES, "grass", "gravel"))[:count]:
            place = still_at(float(random.uniform(90, 390)), float(random.uniform(75, 195)))
            frames = 6 if kind == "static" else 1
            view = Camera("tripod", offset=camera_of("tripod").offset)
            label = f"{kind} {name}"
            yield shot(label, kind, photograph(str(name)), view, place, (36, 40), drift(), frames)
