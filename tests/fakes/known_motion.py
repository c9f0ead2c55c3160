"""A textured plane under a camera whose motion is known exactly, with a matte that hides it."""

from __future__ import annotations

import cv2
import numpy as np

from genai_fill_contract.plate import Window
from tests.fakes.array_shot import ArrayShot

FIRST = 1001


class KnownMotion:
    """Plates of one plane: ``matrix(frame)`` takes pixels of the first frame to ``frame``.

    ``gain`` is the exposure a frame, multiplied up: 1.02 brightens by 2 % each. The matte is
    a disc of ``radius_px`` that sits on one point of the plane, and so moves with it, or
    slides over it by ``slide_px`` a frame.
    """

    def __init__(
        self,
        size_px=(240, 160),
        frames=12,
        *,
        step=(2.3, 0.9),
        turn_deg=0.35,
        zoom=1.004,
        gain=1.0,
        radius_px=22.0,
        slide_px=(0.0, 0.0),
        centre=(0.5, 0.5),
        grain=0.0,
    ) -> None:
        self.width, self.height = size_px
        self.frames = range(FIRST, FIRST + frames)
        self._step, self._turn, self._zoom, self._gain = step, turn_deg, zoom, gain
        self._radius, self._slide = radius_px, slide_px
        self._centre = np.array([self.width * centre[0], self.height * centre[1]])
        self._grain = grain
        self._texture = self._paint()

    def _paint(self):
        """A texture of twice the plate's size each way, its middle at the first frame."""
        rng = np.random.default_rng(11)
        shape = (2 * self.height, 2 * self.width)
        picture = np.full((*shape, 3), 0.25, np.float32)
        for size, strength in ((3, 0.10), (8, 0.10), (24, 0.12)):
            noise = rng.normal(0, 1, (*shape, 3)).astype(np.float32)
            smooth = cv2.GaussianBlur(noise, (0, 0), size)
            picture += strength * smooth / smooth.std()
        return np.clip(picture, 0.02, None).astype(np.float32)

    def matrix(self, frame):
        """The homography from the first frame's pixels to those of ``frame``."""
        n = frame - FIRST
        rotate = np.eye(3)
        rotate[:2] = cv2.getRotationMatrix2D(
            (self.width / 2, self.height / 2), self._turn * n, self._zoom**n
        )
        shift = np.eye(3)
        shift[:2, 2] = -self._step[0] * n, -self._step[1] * n
        bend = np.eye(3)
        bend[2, 0] = 2e-6 * n
        return bend @ shift @ rotate

    def between(self, first, second):
        """The homography from pixels of ``first`` to those of ``second``."""
        return self.matrix(second) @ np.linalg.inv(self.matrix(first))

    def moved(self, points, first, second):
        shaped = np.asarray(points, np.float64).reshape(-1, 1, 2)
        return cv2.perspectiveTransform(shaped, self.between(first, second)).reshape(-1, 2)

    def exposure(self, frame):
        return self._gain ** (frame - FIRST)

    def background(self, frame):
        """The plane as the camera sees it, (h, w, 3)."""
        offset = np.eye(3)
        offset[:2, 2] = -self.width / 2, -self.height / 2
        image = cv2.warpPerspective(
            self._texture,
            self.matrix(frame) @ offset,
            (self.width, self.height),
            flags=cv2.INTER_CUBIC,
        )
        seen = np.maximum(image, 0.0) * self.exposure(frame)
        if self._grain:
            noise = np.random.default_rng(frame).normal(0, self._grain, seen.shape)
            seen = seen + noise
        return seen.astype(np.float32)

    def centre(self, frame):
        """Where the matte's middle is."""
        at = self.moved([self._centre], FIRST, frame)[0]
        return at + np.array(self._slide) * (frame - FIRST)

    def matte(self, frame):
        y, x = np.mgrid[: self.height, : self.width].astype(np.float32)
        cx, cy = self.centre(frame)
        return (np.hypot(x - cx, y - cy) <= self._radius).astype(np.float32)

    def plate(self, frame):
        """The plane with a grey thing over the matte."""
        image = self.background(frame)
        y, x = np.mgrid[: self.height, : self.width].astype(np.float32)
        cx, cy = self.centre(frame)
        image[np.hypot(x - cx, y - cy) <= self._radius - 2] = (0.5, 0.45, 0.4)
        return image

    def shot(self, **changes) -> ArrayShot:
        plates = np.stack([self.plate(frame) for frame in self.frames])
        mattes = np.stack([self.matte(frame) for frame in self.frames])
        crop = Window(0, 0, self.width, self.height)
        return ArrayShot(plates, mattes, first=FIRST, crop=crop, **changes)


class TwoPlanes(KnownMotion):
    """A far plane above and a near one below that slides past it faster.

    The matte sits on the near one or on the far one, and so does what the class says of
    motion.
    """

    def __init__(self, on_near, *, far=(0.6, 0.0), near=(3.5, 0.0), frames=7) -> None:
        same = {
            "turn_deg": 0.0,
            "zoom": 1.0,
            "size_px": (480, 320),
            "frames": frames,
            "radius_px": 24.0,
        }
        self._other = KnownMotion(step=far if on_near else near, **same)
        self._other._texture = np.ascontiguousarray(self._other._texture[::-1])
        self._on_near = on_near
        centre = (0.5, 0.78 if on_near else 0.2)
        super().__init__(step=near if on_near else far, centre=centre, **same)

    def background(self, frame):
        own, other = super().background(frame), self._other.background(frame)
        image, near = (other, own) if self._on_near else (own, other)
        edge = int(self.height * 0.55)
        image[edge:] = near[edge:]
        return image


def dots_at(shape, points, colour=(4.0, 0.05, 0.05), sigma_px=1.6, over=None):
    """Return a picture with soft dots at ``points`` (x, y), over ``over`` or black."""
    height, width = shape
    picture = np.zeros((height, width, 3), np.float32) if over is None else over.copy()
    y, x = np.mgrid[:height, :width].astype(np.float32)
    for px, py in points:
        weight = np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma_px**2))[..., None]
        picture = picture * (1 - weight) + weight * np.array(colour, np.float32)
    return picture.astype(np.float32)


def centroid_near(image, point, radius_px=6.0):
    """Return the centre (x, y) of what is red round ``point``."""
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float64)
    red = np.clip(image[..., 0] - image[..., 1], 0, None).astype(np.float64)
    near = np.hypot(x - point[0], y - point[1]) <= radius_px
    mass = red * near
    mass = np.where(mass > 0.25 * mass.max(), mass, 0.0)
    assert mass.sum() > 0, "nothing red there"
    return np.array([(mass * x).sum(), (mass * y).sum()]) / mass.sum()
