from __future__ import annotations

import numpy as np
import pytest
import torch

from genai_fill_server.engines.diffusers import create
from genai_fill_server.engines.diffusers.memory import Placement
from genai_fill_server.engines.diffusers.speed import Speed
from genai_fill_server.service.ports import FillCancelled
from tests.compliance.engines.suite import RecordingWatch
from tests.unit.backend.engines.diffusers.arrays import noisy_shot
from tests.unit.backend.engines.diffusers.driving import engine_of, fill, job_of


@pytest.fixture(scope="module", params=["stable-diffusion", "z-image"])
def engine(request, tiny):
    engine = engine_of(tiny(request.param))
    engine.prepare(RecordingWatch())
    yield engine
    engine.release()


@pytest.fixture
def device(engine):
    """Let the engine take the CPU for a device that can be compiled for."""
    pipe = engine._loaded.pipe
    engine._loaded.speed = Speed(pipe, torch.device("cuda", 0), Placement.RESIDENT)
    yield engine._loaded.speed
    engine._loaded.speed.use({}, RecordingWatch())
    engine._loaded.speed = Speed(pipe, torch.device("cpu"), Placement.RESIDENT)


def compiling(monkeypatch, compiled):
    """Stand in for the compiler, which would take minutes here."""
    monkeypatch.setattr(torch, "compile", compiled)


def job(engine, seeds=(7,), **wanted):
    made = job_of(engine, seeds=seeds)
    return type(made)(made.seeds, made.prompt, "", {**made.options, **wanted})


def pixels(engine, wanted, watch=None):
    return fill(engine, noisy_shot(), wanted, watch)[0].pixels


def test_compiling_is_offered_on_devices_only_and_nothing_is_on_by_itself(tiny):
    folder = str(tiny("stable-diffusion"))
    for device, offered in (("cpu", False), ("auto", True), ("cuda:1", True)):
        (engine,) = create({"models.dirs": (folder,), "models.device": device})
        options = {option.name: option for option in engine.description.options}
        assert ("compile" in options) is offered
        assert options["channels_last"].default is False
        assert all(options[n].advanced for n in ("channels_last", "compile") if n in options)


def test_channels_last_changes_no_more_than_rounding_and_can_be_taken_back(engine):
    before = pixels(engine, job(engine))
    fast = pixels(engine, job(engine, channels_last=True))
    convolutions = [
        m.weight for m in engine._loaded.pipe.vae.modules()
        if isinstance(m, torch.nn.Conv2d) and m.weight.shape[-1] > 1 and m.weight.shape[1] > 1
    ]  # fmt: skip
    assert all(w.is_contiguous(memory_format=torch.channels_last) for w in convolutions)

    np.testing.assert_allclose(fast, before, atol=2e-3)
    np.testing.assert_array_equal(pixels(engine, job(engine)), before)
    assert all(w.is_contiguous() for w in convolutions)


def test_compiled_blocks_fill_alike_and_are_plain_again_when_nobody_asks(
    engine, device, monkeypatch
):
    calls = []

    def compiled(forward):
        def fast(*args, **kwargs):
            calls.append(1)
            return forward(*args, **kwargs)

        return fast

    compiling(monkeypatch, compiled)
    plain = pixels(engine, job(engine))

    np.testing.assert_array_equal(pixels(engine, job(engine, compile=True)), plain)
    assert calls

    calls.clear()
    np.testing.assert_array_equal(pixels(engine, job(engine)), plain)
    assert not calls
    assert not device.compiled


def test_a_compiler_that_fails_costs_a_line_in_the_log_and_nothing_else(
    engine, device, monkeypatch
):
    def compiled(forward):
        def fast(*args, **kwargs):
            raise RuntimeError("no compiler on this machine")

        return fast

    compiling(monkeypatch, compiled)
    plain, watch = pixels(engine, job(engine)), RecordingWatch()

    np.testing.assert_array_equal(pixels(engine, job(engine, compile=True), watch), plain)

    assert len([line for line in watch.lines if "could not be compiled" in line]) == 1


def test_out_of_memory_is_not_taken_for_a_fault_of_the_compiler(engine, device, monkeypatch):
    from genai_fill_contract.errors import OutOfMemory

    def compiled(forward):
        def fast(*args, **kwargs):
            raise torch.OutOfMemoryError("CUDA out of memory")

        return fast

    compiling(monkeypatch, compiled)
    with pytest.raises(OutOfMemory):
        fill(engine, noisy_shot(), job(engine, compile=True))


def test_cancel_is_heard_between_compiled_blocks_and_nothing_hooks_into_them(
    engine, device, monkeypatch
):
    seen = []

    def compiled(forward):
        block = forward.__self__

        def fast(*args, **kwargs):
            seen.append([m for m in block.modules() if m is not block and m._forward_pre_hooks])
            watch.cancelled.set()
            return forward(*args, **kwargs)

        return fast

    compiling(monkeypatch, compiled)
    watch = RecordingWatch()
    with pytest.raises(FillCancelled):
        fill(engine, noisy_shot(), job(engine, compile=True), watch)

    assert seen == [[]]


def test_on_the_cpu_it_is_said_that_nothing_is_compiled(engine):
    watch = RecordingWatch()
    pixels(engine, job(engine, compile=True), watch)

    assert any("not compiled: it runs on the CPU" in line for line in watch.lines)


@pytest.mark.parametrize(
    ("placement", "words"),
    [(Placement.LAYERS, "layer by layer"), (Placement.PARTS, "not compiled: it runs by parts")],
)
def test_what_a_placement_does_not_allow_is_said(engine, placement, words):
    watch = RecordingWatch()
    speed = Speed(engine._loaded.pipe, torch.device("cuda", 0), placement)

    speed.use({"compile": True, "channels_last": placement is Placement.LAYERS}, watch)

    assert any(words in line for line in watch.lines)


@pytest.mark.parametrize("engine", ["stable-diffusion"], indirect=True)
def test_a_real_compilation_gives_what_eager_gives(engine, device, monkeypatch):
    compile_ = torch.compile
    compiling(monkeypatch, lambda forward: compile_(forward, backend="eager"))
    plain, watch = pixels(engine, job(engine)), RecordingWatch()

    np.testing.assert_allclose(pixels(engine, job(engine, compile=True), watch), plain, atol=1e-5)
    assert not [line for line in watch.lines if "could not be compiled" in line]
