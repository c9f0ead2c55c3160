"""Where inventions come from: never from a side that may not be looked at, once for each scene."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from genai_fill_server.engines.cleanplate import create
from genai_fill_server.engines.cleanplate.description import Direction
from genai_fill_server.service.ports import EngineJob
from tests.fakes.array_shot import ArrayShot, QuietWatch
from tests.fakes.known_answers import camera, disc, known_shot, picture, seen

WIDTH, HEIGHT, COUNT, HUNG = 220, 150, 12, 8
MAGENTA = (3.0, 0.0, 3.0)


def filled(shot, done=(), **options):
    job = EngineJob((1,), options=options, done=(frozenset(done),))
    frames = create({"worker.threads": 2})[0].fill(shot, job, QuietWatch())
    return {frame.frame: frame.pixels for frame in frames}


def sign_shot():
    """A sign hangs in the picture from the ninth frame on; the object never moves away."""
    plates, mattes = [], []
    for index in range(COUNT):
        scene = picture().copy()
        if index >= HUNG:
            cv2.rectangle(scene, (318, 150), (338, 185), MAGENTA, -1)
        clean = seen(scene, camera(index - COUNT / 2, pan=(4.0, 0.0)), WIDTH, HEIGHT)
        matte = disc(WIDTH - 20, 75, 26 + 1.5 * index, WIDTH, HEIGHT)
        plates.append(np.where(matte[..., None] > 0, np.float32(0.9), clean))
        mattes.append(matte)
    return np.array(plates, np.float32), np.array(mattes, np.float32)


def magenta(pixels):
    return (pixels[..., 0] > 1.5) & (pixels[..., 1] < 0.3) & (pixels[..., 2] > 1.5)


@pytest.mark.parametrize("direction", ["before", "after"])
def test_what_is_on_the_other_side_stays_out_of_what_is_invented_too(direction):
    plates, mattes = sign_shot()
    if direction == "after":
        plates, mattes = plates[::-1], mattes[::-1]
    on_show = magenta(plates) & (mattes <= 0)
    clean = [index for index in range(COUNT) if not on_show[index].any()]
    assert len(clean) == HUNG

    made = filled(ArrayShot(plates, mattes), direction=direction)

    for index in clean:
        assert not magenta(made[1001 + index][mattes[index] > 0]).any()


def test_a_key_out_of_reach_gives_no_pixels_of_its_plate():
    plates, mattes = sign_shot()

    made = filled(ArrayShot(plates, mattes), reach_frames=0)

    shown = int((magenta(plates[-1]) & (mattes[-1] <= 0)).sum())
    assert shown > 300
    for index in range(HUNG):
        assert magenta(made[1001 + index][mattes[index] > 0]).sum() < 0.3 * shown


def cut_shot():
    """Two scenes, ten frames each, and a hole that nothing shows in either; the camera stands."""
    scenes = [
        known_shot(frames=10, speed=0.0, grain=0.004, scene=picture(seed)).truths
        for seed in (3, 31)
    ]
    mattes = np.stack([disc(110, 75, 14, WIDTH, HEIGHT)] * 20)
    plates = np.where(mattes[..., None] > 0, np.float32(0.9), np.concatenate(scenes))
    return plates.astype(np.float32), mattes


def test_after_a_cut_an_invention_stays_as_it_is():
    plates, mattes = cut_shot()

    made = filled(ArrayShot(plates, mattes))

    hole = mattes[0] > 0
    stops = np.log2(np.maximum([made[1001 + i][hole] for i in range(20)], 1e-4))
    change = np.abs(np.diff(stops, axis=0)).mean(axis=(1, 2))
    assert change[9] > 0.1  # the cut
    assert np.delete(change, 9).max() < 0.01


def test_a_resumed_job_has_the_same_keys_on_both_sides_of_a_cut():
    plates, mattes = cut_shot()
    whole = filled(ArrayShot(plates, mattes))

    for done in (range(1001, 1013), range(1001, 1018)):
        rest = filled(ArrayShot(plates, mattes), done)
        assert sorted(rest) == [frame for frame in whole if frame not in done]
        for frame, pixels in rest.items():
            np.testing.assert_array_equal(pixels, whole[frame])


def test_a_side_is_looked_at_or_not():
    assert [Direction.BOTH.looks(away) for away in (-1, 0, 1)] == [True, False, True]
    assert [Direction.BEFORE.looks(away) for away in (-1, 0, 1)] == [True, False, False]
    assert [Direction.AFTER.looks(away) for away in (-1, 0, 1)] == [False, False, True]
