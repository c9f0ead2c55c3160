"""What only a real device shows: precision, offload, memory that is given back, cancel.

Run with ``pytest tests/gpu`` on a machine with CUDA. Models are tiny and random.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from genai_fill_contract.plate import InputRole
from genai_fill_server.engines.diffusers import eight_bit, memory, runtime
from genai_fill_server.engines.diffusers.memory import Placement
from genai_fill_server.service.ports import FillCancelled
from tests.compliance.engines.suite import RecordingWatch
from tests.fakes.tiny_pipelines import NAMES, build
from tests.unit.backend.engines.diffusers.arrays import noisy_shot
from tests.unit.backend.engines.diffusers.driving import engine_of, fill, job_of

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device"),
    pytest.mark.filterwarnings(
        r"ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
    ),
    pytest.mark.filterwarnings(r"ignore:`FluxPosEmbed` is deprecated:FutureWarning"),
]


@pytest.fixture(scope="module", params=NAMES)
def folder(request, tmp_path_factory):
    return build(request.param, tmp_path_factory.mktemp("models") / request.param)


@pytest.fixture
def engine(folder):
    engine = engine_of(folder, models__device="cuda", models__allow_non_commercial=True)
    yield engine
    engine.release()


def test_a_fill_in_half_precision_is_finite_and_repeats_bit_for_bit(engine):
    shot = noisy_shot(64, 96, 5)

    first = fill(engine, shot, job_of(engine))
    second = fill(engine, shot, job_of(engine))

    for a, b in zip(first, second, strict=True):
        assert np.isfinite(a.pixels).all()
        np.testing.assert_array_equal(a.pixels, b.pixels)


def test_the_result_has_more_levels_than_bfloat16(engine):
    (frame, *_) = fill(engine, noisy_shot(128, 128), job_of(engine))

    assert len(np.unique(frame.pixels)) > 1000


PLACEMENTS = [
    pytest.param(
        Placement.EIGHT_BIT,
        marks=pytest.mark.skipif(not eight_bit.is_there(), reason="torchao is not installed"),
    ),
    Placement.PARTS,
    Placement.LAYERS,
]


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_every_placement_fills_nearly_like_a_resident_model(folder, placement, monkeypatch):
    engine = engine_of(folder, models__device="cuda", models__allow_non_commercial=True)
    shot = noisy_shot(64, 64)
    before = fill(engine, shot, job_of(engine))[0].pixels
    engine.release()

    def split(pipe, device, need, what):
        memory.put(pipe, device, placement)
        return placement

    monkeypatch.setattr(memory, "place", split)
    after = fill(engine, shot, job_of(engine))[0].pixels
    engine.release()

    # Layers come with a VAE in tiles, 8-bit weights are rounded.
    assert np.abs(after - before).mean() < (1e-6 if placement is Placement.PARTS else 0.1)


def test_release_gives_the_memory_back(engine):
    # Once before: the first call of a process takes work space that its libraries keep.
    fill(engine, noisy_shot(64, 64), job_of(engine))
    engine.release()
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    fill(engine, noisy_shot(64, 64), job_of(engine))
    assert torch.cuda.memory_allocated() > before

    engine.release()

    assert torch.cuda.memory_allocated() <= before


def test_cancel_leaves_the_device_usable(engine):
    watch = RecordingWatch()
    shot, job = noisy_shot(64, 64), job_of(engine)
    before = fill(engine, shot, job)
    watch.cancelled.set()
    with pytest.raises(FillCancelled):
        fill(engine, shot, job, watch)

    np.testing.assert_array_equal(fill(engine, shot, job)[0].pixels, before[0].pixels)


def takes_together(engine):
    return "takes_at_once" in {option.name for option in engine.description.options}


def test_takes_made_at_once_are_nearly_those_made_one_by_one(engine):
    if not takes_together(engine):
        pytest.skip("this family makes takes one by one")
    shot, seeds = noisy_shot(64, 64), (1, 2, 3)
    watch = RecordingWatch()

    alone = fill(engine, shot, job_of(engine, seeds=seeds, takes_at_once=1))
    together = fill(engine, shot, job_of(engine, seeds=seeds), watch)
    again = fill(engine, shot, job_of(engine, seeds=seeds))

    assert watch.notes["takes_at_once"] == 3, "toys fit any device"
    for a, b, c in zip(alone, together, again, strict=True):
        np.testing.assert_array_equal(b.pixels, c.pixels)
        # The last bits of half precision, some steps later.
        assert np.abs(a.pixels - b.pixels).mean() < 0.05


def test_a_resumed_job_has_the_same_bits(engine, tmp_path):
    shot = noisy_shot(64, 64, 3)
    job = job_of(engine, seeds=(1, 2))
    job = dataclasses.replace(job, scratch_dir=str(tmp_path / "whole"))
    whole = {(f.take_index, f.frame): f.pixels for f in fill(engine, shot, job)}
    done = (frozenset({1001, 1002}), frozenset({1001}))

    rest = fill(engine, shot, dataclasses.replace(job, done=done))

    assert len(rest) == 3
    for frame in rest:
        np.testing.assert_array_equal(frame.pixels, whole[frame.take_index, frame.frame])


def test_a_frame_ahead_has_the_bits_of_one_after_the_other(engine, monkeypatch):
    shot, job = noisy_shot(64, 64, 3), job_of(engine)
    ahead = fill(engine, shot, job)

    monkeypatch.setattr(runtime, "works_beside", lambda device: False)

    for a, b in zip(ahead, fill(engine, shot, job), strict=True):
        np.testing.assert_array_equal(a.pixels, b.pixels)


def test_a_large_crop_is_gone_over_in_half_precision(engine):
    watch = RecordingWatch()

    frames = fill(engine, noisy_shot(150, 180), job_of(engine, steps=4), watch)

    assert any("in tiles" in line for line in watch.lines)
    assert np.isfinite(frames[0].pixels).all()


def test_embeddings_that_were_kept_fill_a_model_that_runs_by_parts(folder, monkeypatch):
    engine = engine_of(folder, models__device="cuda", models__allow_non_commercial=True)

    def by_parts(pipe, device, need, what):
        memory.put(pipe, device, Placement.PARTS)
        return Placement.PARTS

    monkeypatch.setattr(memory, "place", by_parts)
    shot = noisy_shot(64, 64)

    first = fill(engine, shot, job_of(engine, seeds=(1,)))
    second = fill(engine, shot, job_of(engine, seeds=(1,), steps=2))
    engine.release()

    np.testing.assert_array_equal(first[0].pixels, second[0].pixels)


def test_a_control_picture_steers_on_the_device(tmp_path):
    folder = build("z-image-controlnet", tmp_path / "model")
    engine = engine_of(folder, models__device="cuda")
    shot = noisy_shot(64, 64)
    picture = np.ones((64, 64, 3), np.float32), np.ones((64, 64), np.float32)
    steered = shot.with_inputs({InputRole.CONTROL: {1001: picture}})

    a, b = (fill(engine, each, job_of(engine))[0].pixels for each in (shot, steered))
    engine.release()

    assert np.isfinite(b).all()
    assert not np.array_equal(a, b)
