"""What only a real device shows: precision, offload, memory that is given back, cancel.

Run with ``pytest tests/gpu`` on a machine with CUDA. Models are tiny and random.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from genai_fill_server.engines.diffusers import memory
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


@pytest.mark.parametrize("placement", [Placement.EIGHT_BIT, Placement.PARTS, Placement.LAYERS])
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
