"""Pixels behind an object come back where the camera's motion is known."""

from __future__ import annotations

import numpy as np
import pytest

from genai_fill_server.engines.cleanplate import create
from genai_fill_server.engines.cleanplate.peers import telea
from genai_fill_server.service.ports import EngineJob
from tests.fakes.array_shot import ArrayShot, QuietWatch
from tests.fakes.known_answers import KnownShot, known_shot, picture, psnr_db, two_layers


def fill(shot: KnownShot, **options) -> np.ndarray:
    engine = create({"worker.threads": 2})[0]
    watch = QuietWatch()
    engine.prepare(watch)
    job = EngineJob(seeds=(1,), options=options)
    return np.array(
        [f.pixels for f in engine.fill(ArrayShot(shot.plates, shot.mattes), job, watch)]
    )


CAMERAS = {
    "locked off": ({}, 45.0),
    "translation": ({"pan": (3.3, 0.6)}, 33.0),
    "rotation": ({"turn_deg": 0.8, "pan": (1.0, 0.0)}, 33.0),
    "zoom": ({"zoom": 0.008, "pan": (1.0, 0.5)}, 33.0),
    "exposure ramp": ({"stops_a_frame": 0.06, "pan": (2.0, 0.0)}, 32.0),
}


@pytest.mark.parametrize("name", CAMERAS)
def test_what_other_frames_show_is_brought_back(name):
    moves, least_db = CAMERAS[name]
    shot = known_shot(**moves)

    filled = fill(shot)

    found = psnr_db(filled, shot.truths, shot.mattes)
    alone = [
        telea(np.clip(p, 0, 1) ** (1 / 2.2), m > 0) ** 2.2
        for p, m in zip(shot.plates, shot.mattes, strict=True)
    ]
    assert found > least_db
    assert found > psnr_db(np.array(alone), shot.truths, shot.mattes) + 8.0


def test_two_layers_move_by_their_own_planes():
    shot = two_layers()

    dense = psnr_db(fill(shot), shot.truths, shot.mattes)
    one_plane = psnr_db(fill(shot, motion="homography"), shot.truths, shot.mattes)

    assert dense > 26.0
    assert dense > one_plane + 4.0


def test_highlights_keep_their_light_and_do_not_overshoot():
    scene = picture()
    for row in range(100, 260, 20):
        for column in range(160, 400, 24):
            scene[row : row + 4, column : column + 4] = 30.0
    shot = known_shot(scene=scene, pan=(2.6, 0.4))

    filled = fill(shot)

    hole = shot.mattes > 0
    bright = hole[..., None] & (shot.truths > 2.0)
    assert filled[hole].max() <= shot.plates.max() * 1.02
    assert filled[bright].mean() == pytest.approx(shot.truths[bright].mean(), rel=0.1)


def test_negative_light_is_kept():
    shot = known_shot(scene=picture() - 0.1)
    shot = KnownShot(shot.plates - 0.2, shot.truths - 0.2, shot.mattes)

    filled = fill(shot)

    hole = shot.mattes > 0
    assert filled[hole].min() < -0.05
    assert np.abs(filled - shot.truths)[hole].mean() < 0.02


def test_grain_is_neither_blurred_nor_added():
    shot = known_shot(pan=(2.37, 0.41), grain=0.02, frames=10)

    filled = fill(shot)

    core = shot.mattes > 0.99
    ratio = _fine(filled)[core].std() / _fine(shot.truths)[core].std()
    assert 0.85 < ratio < 1.15


def _fine(shot: np.ndarray) -> np.ndarray:
    """Return what of each pixel its four neighbours do not foretell."""
    around = sum(np.roll(shot, step, axis) for axis in (1, 2) for step in (-1, 1)) / 4
    return shot - around


def test_a_sudden_cut_is_not_crossed():
    first = known_shot(pan=(2.0, 0.0), frames=8)
    second = known_shot(pan=(-2.0, 0.0), frames=8, scene=picture(31))
    shot = KnownShot(
        *[np.concatenate([a, b]) for a, b in zip(_parts(first), _parts(second), strict=True)]
    )
    engine = create({"worker.threads": 2})[0]
    job = EngineJob(seeds=(1,), options={"report_layers": True})

    for frame in engine.fill(ArrayShot(shot.plates, shot.mattes), job, QuietWatch()):
        sources = frame.frame + frame.layers["origin"][shot.mattes[frame.frame - 1001] > 0]
        before_cut = frame.frame <= 1008
        assert ((sources <= 1008) == before_cut).all()


def _parts(shot: KnownShot):
    return shot.plates, shot.truths, shot.mattes


def test_looking_before_only_takes_nothing_from_after():
    shot = known_shot(pan=(2.0, 0.0))
    engine = create({"worker.threads": 2})[0]
    job = EngineJob(seeds=(1,), options={"report_layers": True, "direction": "before"})

    for frame in engine.fill(ArrayShot(shot.plates, shot.mattes), job, QuietWatch()):
        assert (frame.layers["origin"] <= 0).all()


def test_layers_tell_real_from_invented():
    shot = known_shot(frames=6, speed=0.0)
    engine = create({"worker.threads": 2})[0]
    watch = QuietWatch()
    job = EngineJob(seeds=(1,), options={"report_layers": True})

    frames = list(engine.fill(ArrayShot(shot.plates, shot.mattes), job, watch))

    hole = shot.mattes > 0
    invented = np.array([f.layers["invented"] for f in frames])
    assert (invented[hole] == 1.0).all()
    assert (invented[~hole] == 0.0).all()
    assert watch.notes["cleanplate"]["invented_percent"] == 100.0


def test_invented_pixels_stay_put_from_frame_to_frame():
    shot = known_shot(frames=5, speed=0.0, radius=12.0)

    filled = fill(shot)

    hole = shot.mattes[0] > 0
    change = np.abs(np.diff(filled, axis=0))[:, hole]
    assert change.max() < 0.02 * filled[:, hole].mean()
