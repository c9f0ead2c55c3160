"""Model engines through the real server, worker and files: every family, with tiny weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from genai_fill_contract.fill import CropMode, CropPolicy, FillRequest, MatteShaping, OutputPlace
from genai_fill_contract.job import JobState
from genai_fill_contract.plate import FrameRange, MatteRef, PlateRef, path_at
from tests.fakes.backend_process import BackendProcess, wait_until
from tests.fakes.plates import disc, grainy, read_raw, write_exr
from tests.fakes.tiny_pipelines import NAMES, build

# Building the toy models touches classes that diffusers moved; loading them does not.
pytestmark = pytest.mark.filterwarnings("ignore:`FluxPosEmbed` is deprecated:FutureWarning")

HEIGHT, WIDTH = 64, 96
LONG = 161


def write_shot(folder: Path, first: int, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        rgb = grainy(HEIGHT, WIDTH, seed=index % 7)
        matte = disc(HEIGHT, WIDTH, (HEIGHT / 2, WIDTH / 2 + index % 5), 9)
        ones = np.ones((HEIGHT, WIDTH, 1), np.float32)
        write_exr(folder / f"plate.{first + index:04d}.exr", np.dstack([rgb, ones]))
        write_exr(folder / f"matte.{first + index:04d}.exr", np.dstack([rgb, matte]))


def request(folder: Path, engine_id: str, frames: FrameRange, **options) -> FillRequest:
    return FillRequest(
        plate=PlateRef((folder / "plate.%04d.exr").as_posix(), frames),
        matte=MatteRef((folder / "matte.%04d.exr").as_posix(), frames),
        frame_range=frames,
        engine_id=engine_id,
        output=OutputPlace((folder / "takes").as_posix(), engine_id.replace(":", "_")),
        prompt="an old brick wall, 壁",
        seed=7,
        engine_options=options,
        shaping=MatteShaping(2.0, 2.0, 2.0),
        crop=CropPolicy(CropMode.FULL),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models_chain")
    write_shot(folder, 1001, 2)
    for name in NAMES:
        build(name, folder / "models" / name)
    return folder


@pytest.fixture(scope="module")
def backend(folder):
    process = BackendProcess(
        folder / "state",
        folder,
        folder / "no_studio_engines",
        models_dirs=folder / "models",
        models_device="cpu",
        models_allow_non_commercial="yes",
    ).start()
    yield process
    process.stop()


def run(backend: BackendProcess, asked: FillRequest, timeout_s: float = 200.0):
    client = backend.client()
    job_id = client.submit(asked).id
    job = wait_until(lambda: job if (job := client.job(job_id)).state.is_final else None, timeout_s)
    assert job.state is JobState.DONE, job.error
    return job


@pytest.mark.parametrize("name", NAMES)
def test_every_family_fills_a_shot_and_leaves_the_plate_alone(backend, folder, name):
    frames = FrameRange(1001, 1002)

    job = run(backend, request(folder, f"diffusers:{name}", frames, steps=2))

    (take,) = job.takes
    assert set(take.frames_done) == set(frames)
    for frame in frames:
        plate, _ = read_raw(folder / f"plate.{frame}.exr")
        made, spec = read_raw(Path(path_at(take.path_pattern, frame)))
        assert (spec.width, spec.height) == plate.shape[1::-1]
        blend = made[..., 3]
        untouched = blend == 0
        assert 0.3 < untouched.mean() < 1.0
        np.testing.assert_array_equal(made[untouched][:, :3], plate[untouched][:, :3])
        assert (made[..., :3] != plate[..., :3]).any(axis=2)[blend >= 1].mean() > 0.9


def test_a_shot_longer_than_the_video_models_window_keeps_every_frame(backend, folder):
    long = folder / "long"
    write_shot(long, 1001, LONG)
    frames = FrameRange(1001, 1000 + LONG)
    asked = request(long, "diffusers:wan-vace", frames, steps=1, window_frames=33, overlap_frames=5)

    job = run(backend, asked, timeout_s=280.0)

    (take,) = job.takes
    assert sorted(take.frames_done) == list(frames)
    assert all(Path(path_at(take.path_pattern, frame)).is_file() for frame in frames)
    assert not Path(path_at(take.path_pattern, frames.last + 1)).exists()
    recipe = json.loads(Path(take.recipe_path).read_text(encoding="utf-8"))
    assert "drift" in json.dumps(recipe["notes"])


def test_a_model_whose_licence_forbids_it_is_not_run_without_the_setting(folder, tmp_path):
    build("flux-fill", tmp_path / "models" / "flux-fill")
    process = BackendProcess(
        tmp_path / "state",
        folder,
        tmp_path / "no_studio_engines",
        models_dirs=tmp_path / "models",
        models_device="cpu",
    ).start()
    try:
        engines = {e.id: e for e in process.client().engines().engines}
        blocked = engines["diffusers:flux-fill"]
        assert not blocked.available
        assert "allow_non_commercial" in blocked.unavailable_reason
    finally:
        process.stop()
