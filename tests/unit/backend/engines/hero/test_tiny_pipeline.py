"""Hero frames end to end: EXR files in, a real diffusers pipeline of toy size, a take out."""

import cv2
import numpy as np
import pytest

from genai_fill_contract.engine import EngineKind
from genai_fill_server.engines.hero import create
from genai_fill_server.service.allocate_takes import allocate_takes
from genai_fill_server.service.run_fill import run_fill
from tests.fakes.engines import WatchRecorder
from tests.fakes.known_motion import FIRST, KnownMotion
from tests.fakes.shots import Shot, crop_of

pytestmark = [
    pytest.mark.filterwarnings(
        r"ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
    )
]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    from tests.fakes.tiny_pipelines import build

    root = tmp_path_factory.mktemp("models")
    build("stable-diffusion", root / "tiny")
    build("wan-vace", root / "tiny-video")
    return root


def settings(models):
    return {"models.dirs": (str(models),), "models.device": "cpu", "worker.threads": 1}


class MovingShot(Shot):
    """The shot of `KnownMotion` as files."""

    def __init__(self, folder, scene):
        self.scene = scene
        super().__init__(
            folder,
            frames=(FIRST, scene.frames[-1]),
            kind="float",
            plate=scene.plate,
            size=(scene.height, scene.width),
        )
        for frame in self.frames:
            self.write_matte(frame, scene.matte(frame))


def test_every_image_model_has_a_hero_engine_and_no_video_model_has(models):
    (engine,) = create(settings(models))
    assert engine.description.id.startswith("hero:diffusers:")
    assert engine.description.kind is EngineKind.SHOT
    assert engine.description.label.endswith("· hero frames")
    assert engine.description.available


def test_a_models_picture_goes_through_the_shot_into_files(models, tmp_path):
    scene = KnownMotion(size_px=(192, 128), frames=6, radius_px=26)
    shot = MovingShot(tmp_path, scene)
    (engine,) = create(settings(models))
    request = shot.request(
        engine_id=engine.description.id,
        prompt="a brick wall",
        engine_options={"steps": 2, "hero_frame": 1003},
    )
    shot.takes = allocate_takes(request, "job-1")
    watch = WatchRecorder()
    from genai_fill_server.imaging.local_frames import local_frame_ports

    run_fill(request, engine, shot.takes, local_frame_ports(), watch)
    engine.release()

    assert watch.frames == [(0, frame) for frame in shot.frames]
    phases = {report.phase for report in watch.reports}
    assert "Generating the hero frame 1003" in phases
    assert "Carrying frame 6 of 6" in phases
    notes = shot.recipe()["notes"]
    assert notes["hero_frames_take_1"]["generated"] == [1003]
    assert shot.leftovers() == []
    hero = whole(shot, 1003)
    hole = cv2.erode(scene.matte(1003), np.ones((9, 9))) > 0
    assert np.abs(hero[hole] - scene.plate(1003)[hole]).mean() > 0.02  # the model drew something
    for frame in shot.frames:
        got = whole(shot, frame)
        outside = got_alpha(shot, frame) == 0
        np.testing.assert_array_equal(got[outside], scene.plate(frame)[outside])
        if frame != 1003:
            assert alike(scene, hero, got, frame) > 0.9


def whole(shot, frame):
    """A take's frame over the plate: what the node shows."""
    pixels, spec = shot.take_frame(frame)
    plate = shot.plate(frame).copy()
    crop_of(plate, spec)[:] = pixels[..., :3]
    return plate


def got_alpha(shot, frame):
    pixels, spec = shot.take_frame(frame)
    alpha = np.zeros((shot.size[0], shot.size[1]), np.float32)
    crop_of(alpha, spec)[:] = pixels[..., 3]
    return alpha


def alike(scene, hero, got, frame):
    """How well the hero, moved by the true motion, is what a frame shows in its matte."""
    truth = cv2.warpPerspective(
        hero, scene.between(1003, frame), (scene.width, scene.height), flags=cv2.INTER_CUBIC
    )
    inside = cv2.erode(scene.matte(frame), np.ones((9, 9))) > 0
    # Finer than what exposure and seams change, coarser than grain.
    a, b = (_detail(image)[inside].ravel() for image in (truth, got))
    return float(np.corrcoef(a, b)[0, 1])


def _detail(image):
    return cv2.GaussianBlur(image, (0, 0), 1.0) - cv2.GaussianBlur(image, (0, 0), 8.0)
