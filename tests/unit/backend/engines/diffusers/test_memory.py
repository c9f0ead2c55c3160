from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from genai_fill_contract.errors import OutOfMemory
from genai_fill_server.engines.diffusers import memory
from genai_fill_server.engines.diffusers.cards import ModelCard
from genai_fill_server.engines.diffusers.memory import MemoryNeed, Placement, choose_placement
from tests.compliance.engines.suite import RecordingWatch
from tests.unit.backend.engines.diffusers.arrays import noisy_shot
from tests.unit.backend.engines.diffusers.driving import engine_of, fill, job_of

NEED = MemoryNeed(resident=15.0, parts=8.0, layers=3.0)


@pytest.mark.parametrize(
    ("free", "placement"),
    [
        (24.0, Placement.RESIDENT),
        (15.0, Placement.RESIDENT),
        (14.9, Placement.PARTS),
        (7.9, Placement.LAYERS),
        (2.9, None),
    ],
)
def test_the_fastest_placement_that_fits_is_chosen(free, placement):
    assert choose_placement(NEED, free) is placement


def test_the_need_is_the_weights_and_what_a_call_adds(tiny):
    engine = engine_of(tiny("stable-diffusion"))
    engine.prepare(RecordingWatch())
    pipe = engine._loaded.pipe
    weights = sum(
        p.numel() * 4 / 2**30 for part in (pipe.unet, pipe.vae, pipe.text_encoder)
        for p in part.parameters()
    )  # fmt: skip

    need = memory.memory_need(pipe, ModelCard("x", "X"), 2.0)

    assert need.resident == pytest.approx(2.0 + weights)
    assert 2.0 < need.parts < need.resident
    engine.release()


def test_measured_figures_on_the_card_count_where_they_are_higher(tiny):
    engine = engine_of(tiny("stable-diffusion"))
    engine.prepare(RecordingWatch())
    card = dataclasses.replace(ModelCard("x", "X"), vram_gb=15.5, offloaded_gb=8.0)

    need = memory.memory_need(engine._loaded.pipe, card, 2.0)

    assert (need.resident, need.parts) == (15.5, 8.0)
    engine.release()


def test_a_device_too_small_for_single_layers_says_needs_and_free(tiny, monkeypatch):
    import torch

    engine = engine_of(tiny("stable-diffusion"))
    engine.prepare(RecordingWatch())
    monkeypatch.setattr(memory, "free_gb", lambda device: 1.5)
    monkeypatch.setattr("genai_fill_server.engines.diffusers.runtime.free_gb", lambda device: 1.5)

    with pytest.raises(OutOfMemory, match=r"needs about 3\.0 GB and 1\.5 GB are free"):
        memory.place(engine._loaded.pipe, torch.device("cuda", 0), NEED, "loading")

    engine.release()


@pytest.mark.parametrize("name", ["stable-diffusion", "flux2-klein", "wan-vace"])
def test_a_model_in_parts_fills_like_one_that_is_resident(tiny, name, monkeypatch):
    """The CPU stands in for the device here; that parts are fetched in time shows all the same."""
    import torch

    engine = engine_of(tiny(name))
    shot = noisy_shot(48, 64, 1)
    before = fill(engine, shot, job_of(engine, steps=2))[0].pixels
    engine.release()

    def split(pipe, device, need, what):
        memory.put(pipe, torch.device("cpu", 0), Placement.PARTS)
        return Placement.PARTS

    monkeypatch.setattr(memory, "place", split)
    watch = RecordingWatch()
    after = fill(engine, shot, job_of(engine, steps=2), watch)[0].pixels
    engine.release()

    np.testing.assert_allclose(after, before, atol=1e-5)
    assert watch.notes["diffusers"]["placement"] == "parts"
    assert any("runs by parts" in line for line in watch.lines)
