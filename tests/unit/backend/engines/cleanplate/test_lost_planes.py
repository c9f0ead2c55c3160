"""Planes that are lost on the way from a frame to its sources."""

from __future__ import annotations

import cv2
import numpy as np

from genai_fill_contract.plate import FrameRange
from genai_fill_server.engines.cleanplate import create
from genai_fill_server.engines.cleanplate.motion import Labelled, Step, Ways
from genai_fill_server.engines.cleanplate.planes import identity
from genai_fill_server.service.ports import EngineJob
from tests.fakes.array_shot import ArrayShot, QuietWatch

WIDTH, HEIGHT, FRAMES = 320, 200, 12


def shift(x: float) -> np.ndarray:
    return np.array([[1, 0, x], [0, 1, 0], [0, 0, 1]], np.float64)


def step(*shifts: float) -> Step:
    nobody = Labelled(np.zeros((0, 2), np.float32), np.zeros(0, np.int64))
    return Step(tuple(shift(x) for x in shifts), nobody, nobody)


def test_the_first_plane_goes_on_in_the_step_s_first_where_nothing_tells_otherwise():
    here = Ways((identity(), identity()), (0, 1))

    swapped = here.followed(step(3.0, 5.0), (1, 0))
    onward = swapped.followed(step(7.0, 9.0), (0, None))

    # What was the first plane became the step's second, which is lost after it.
    assert onward.planes == (0, 0)
    assert onward.matrices[0] is not None
    np.testing.assert_array_equal(onward.matrices[0], shift(7.0) @ shift(5.0))


def test_other_planes_stay_lost():
    here = Ways((identity(), identity()), (0, 1))

    lost = here.followed(step(3.0), (0, None)).followed(step(4.0, 6.0), (0, 1))

    assert lost.planes == (0, None)
    assert lost.matrices[1] is None


def slabs() -> tuple[np.ndarray, np.ndarray]:
    """Return a camera's slide past upright slabs at five depths that cover the frame by turns."""
    speeds = (1.0, 2.5, 4.0, 5.5, 7.5)
    layers = []
    for seed in range(len(speeds)):
        random = np.random.default_rng(seed)
        noise = random.uniform(0, 1, (2, HEIGHT, WIDTH + 160, 3)).astype(np.float32)
        fine, coarse = (
            cv2.GaussianBlur(noise[0], (0, 0), 1.4),
            cv2.GaussianBlur(noise[1], (0, 0), 9),
        )
        mixed = 0.5 * fine / fine.std() + coarse / coarse.std()
        layers.append(0.2 * np.exp(0.35 * (mixed - mixed.mean())) * random.uniform(0.5, 1.5, 3))
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    plates, mattes = [], []
    for frame in range(FRAMES):
        plate = np.zeros((HEIGHT, WIDTH, 3), np.float32)
        for number, (speed, layer) in enumerate(zip(speeds, layers, strict=True)):
            x = round(speed * frame)
            shown = (((columns + x) // 40) % 5 == number - 1) | (number == 0)
            plate = np.where(shown[..., None], layer[:, x : x + WIDTH], plate)
        centre = WIDTH * (0.3 + 0.4 * frame / FRAMES)
        matte = np.hypot(columns - centre, rows - HEIGHT / 2) < 32
        plates.append(np.where(matte[..., None], 0.9, plate))
        mattes.append(matte)
    return np.array(plates, np.float32), np.array(mattes, np.float32)


def test_a_shot_whose_planes_take_turns_at_being_the_largest_is_filled():
    plates, mattes = slabs()
    shot = ArrayShot(plates, mattes, frames=FrameRange(1008, 1008))
    engine = create({"worker.threads": 2})[0]
    watch = QuietWatch()
    engine.prepare(watch)

    (filled,) = engine.fill(shot, EngineJob(seeds=(1,), options={"device": "cpu"}), watch)

    hole = mattes[7] > 0
    assert np.isfinite(filled.pixels).all()
    np.testing.assert_array_equal(filled.pixels[~hole], plates[7][~hole])
    assert watch.notes["cleanplate"]["real_percent"] > 90.0
