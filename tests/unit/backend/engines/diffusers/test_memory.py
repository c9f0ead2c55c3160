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

NEED = MemoryNeed(resident=15.0, eight_bit=9.0, parts=8.0, layers=3.0)


@pytest.mark.parametrize(
    ("free", "placement"),
    [
        (24.0, Placement.RESIDENT),
        (15.0, Placement.RESIDENT),
        (14.9, Placement.EIGHT_BIT),
        (8.9, Placement.PARTS),
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

    def split(pipe, device, need, what, fits):
        memory.put(pipe, torch.device("cpu", 0), Placement.PARTS)
        return Placement.PARTS

    monkeypatch.setattr(memory, "place", split)
    watch = RecordingWatch()
    after = fill(engine, shot, job_of(engine, steps=2), watch)[0].pixels
    engine.release()

    np.testing.assert_allclose(after, before, atol=1e-5)
    assert watch.notes["diffusers"]["placement"] == "parts"
    assert any("runs by parts" in line for line in watch.lines)


def test_without_the_library_no_weights_are_rounded():
    assert choose_placement(dataclasses.replace(NEED, eight_bit=None), 14.9) is Placement.PARTS


@pytest.fixture
def cramped(monkeypatch):
    """A device on which the model fits with 8-bit weights only; the CPU stands in for it."""
    import torch

    place = memory.choose_placement

    def placed(pipe, device, need, what, fits):
        free = need.resident - 1e-9
        placement = place(need, free)
        # Parts would need accelerate to move them; what is chosen is what is asked here.
        put = placement if placement is Placement.EIGHT_BIT else Placement.RESIDENT
        memory.put(pipe, torch.device("cpu"), put)
        return placement

    monkeypatch.setattr(memory, "place", placed)


@pytest.mark.parametrize("name", ["flux2-klein", "wan-vace"])
def test_eight_bit_weights_fill_nearly_alike_and_the_same_every_time(tiny, name, request):
    settings = {"models__allow_non_commercial": True}
    engine = engine_of(tiny(name), **settings)
    shot, job = noisy_shot(48, 64, 1), job_of(engine, steps=2)
    before = fill(engine, shot, job)[0].pixels
    engine.release()

    request.getfixturevalue("cramped")
    watch = RecordingWatch()
    after = fill(engine, shot, job, watch)[0].pixels
    again = fill(engine, shot, job)[0].pixels
    engine.release()
    anew = fill(engine, shot, job)[0].pixels
    engine.release()

    assert not np.array_equal(after, before)
    assert np.abs(after - before).mean() < 0.01
    np.testing.assert_array_equal(again, after)
    np.testing.assert_array_equal(anew, after)
    assert watch.notes["diffusers"]["placement"] == "8-bit weights"
    assert any("rounded to 8 bits" in line for line in watch.lines)


def test_what_eight_bits_save_is_what_they_save(tiny):
    from genai_fill_server.engines.diffusers import eight_bit

    def held(pipe):
        parts = (pipe.transformer, pipe.text_encoder)
        weights = [p for part in parts for p in part.parameters()]
        plain = [
            getattr(w, inner)
            for w in weights
            for inner in (w.__tensor_flatten__()[0] if hasattr(w, "qdata") else ("data",))
        ]
        return sum(t.numel() * t.element_size() for t in plain)

    engine = engine_of(tiny("flux2-klein"))
    engine.prepare(RecordingWatch())
    pipe = engine._loaded.pipe
    before, promised = held(pipe), eight_bit.saved_bytes(pipe)
    vae = {key: value.clone() for key, value in pipe.vae.state_dict().items()}

    eight_bit.round_weights(pipe)

    assert promised > 0.2 * before
    assert before - held(pipe) == pytest.approx(promised, rel=0.05)
    assert all((pipe.vae.state_dict()[key] == value).all() for key, value in vae.items())
    engine.release()


def test_a_lora_is_not_mixed_into_eight_bit_weights(tiny, cramped):
    from genai_fill_contract.errors import GenAIFillError

    engine = engine_of(tiny("stable-diffusion"))
    engine.prepare(RecordingWatch())
    assert engine._loaded.placement == "8-bit weights"
    watch = RecordingWatch()

    with pytest.raises(GenAIFillError):  # there is no such file; the model is another by then
        fill(engine, noisy_shot(), job_of(engine, lora="/no/such.safetensors"), watch)

    assert engine._loaded.placement == "parts"
    assert any("8-bit weights" in line for line in watch.lines)
    engine.release()
