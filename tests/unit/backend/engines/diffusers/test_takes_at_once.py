"""Several takes in one call: each as if it were alone, and the same wherever a job resumes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from genai_fill_contract.errors import OutOfMemory
from genai_fill_contract.plate import FrameRange
from genai_fill_server.engines.diffusers.painting import Painter
from genai_fill_server.engines.diffusers.takes_at_once import MOST, TakesAtOnce, fitting
from genai_fill_server.service.ports import EngineJob
from tests.compliance.engines.suite import RecordingWatch
from tests.fakes.tiny_pipelines import NAMES
from tests.unit.backend.engines.diffusers.arrays import noisy_shot
from tests.unit.backend.engines.diffusers.driving import engine_of, fill, job_of

ALONE_ONLY = ("wan-vace", "qwen-image-controlnet")
SD = "stable-diffusion"


def job_with(engine, scratch="", **settings):
    return dataclasses.replace(job_of(engine, **settings), scratch_dir=str(scratch))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ALONE_ONLY])
def test_takes_made_at_once_are_those_made_one_by_one(tiny, name):
    engine = engine_of(tiny(name), models__allow_non_commercial=True)
    shot, seeds = noisy_shot(48, 64), (5, 6, 7)
    calls = []
    engine.prepare(RecordingWatch())
    pipe = engine._loaded.pipe
    denoiser = getattr(pipe, "transformer", None) or pipe.unet
    hook = denoiser.register_forward_pre_hook(lambda *_: calls.append(1))

    alone = fill(engine, shot, job_of(engine, seeds=seeds, takes_at_once=1))
    singly, calls[:] = len(calls), []
    together = fill(engine, shot, job_of(engine, seeds=seeds, takes_at_once=3))
    again = fill(engine, shot, job_of(engine, seeds=seeds, takes_at_once=3))
    hook.remove()
    engine.release()

    assert singly == 3 * len(calls) // 2
    assert [f.take_index for f in together] == [0, 1, 2]
    for a, b, c in zip(alone, together, again, strict=True):
        np.testing.assert_allclose(b.pixels, a.pixels, atol=5e-4)
        np.testing.assert_array_equal(b.pixels, c.pixels)
    assert np.abs(alone[0].pixels - alone[1].pixels).max() > 0.02


@pytest.mark.parametrize("name", ALONE_ONLY)
def test_families_that_cannot_do_not_offer_it(tiny, name):
    names = {option.name for option in engine_of(tiny(name)).description.options}

    assert "takes_at_once" not in names


@pytest.fixture(scope="module")
def engine(tiny):
    engine = engine_of(tiny(SD))
    yield engine
    engine.release()


def test_a_sampler_that_draws_noise_draws_each_takes_own(engine):
    shot, seeds = noisy_shot(), (1, 2)

    alone = fill(engine, shot, job_of(engine, seeds=seeds, sampler="euler_a", takes_at_once=1))
    both = fill(engine, shot, job_of(engine, seeds=seeds, sampler="euler_a", takes_at_once=2))

    for a, b in zip(alone, both, strict=True):
        np.testing.assert_allclose(b.pixels, a.pixels, atol=2e-3)


def test_detail_goes_over_each_take(engine):
    shot, seeds = noisy_shot(150, 150), (1, 2)

    alone = fill(engine, shot, job_of(engine, seeds=seeds, takes_at_once=1))
    both = fill(engine, shot, job_of(engine, seeds=seeds, takes_at_once=2))

    for a, b in zip(alone, both, strict=True):
        np.testing.assert_allclose(b.pixels, a.pixels, atol=2e-3)


@pytest.mark.parametrize("missing", [(0, 1002), (1, 1001), (2, 1003)])
def test_a_resumed_job_makes_what_is_missing_by_the_same_call(engine, tmp_path, missing):
    shot = noisy_shot(64, 64, 3)
    seeds, option = (1, 2, 3), {"takes_at_once": 2}
    whole = fill(engine, shot, job_with(engine, tmp_path, seeds=seeds, **option))
    take, frame = missing
    done = tuple(
        frozenset(f for f in shot.frames if (t, f) != (take, frame)) for t in range(len(seeds))
    )

    (made,) = fill(engine, shot, job_with(engine, tmp_path, seeds=seeds, done=done, **option))

    (expected,) = [f for f in whole if (f.take_index, f.frame) == missing]
    assert (made.take_index, made.frame) == missing
    np.testing.assert_array_equal(made.pixels, expected.pixels)


def test_a_resumed_job_goes_on_as_it_began_whatever_is_free_now(tmp_path):
    assert TakesAtOnce(3, str(tmp_path)).count == 3

    assert TakesAtOnce(1, str(tmp_path)).count == 3


def test_without_a_place_to_keep_it_the_number_is_the_one_given():
    assert TakesAtOnce(3, "").count == 3
    assert not TakesAtOnce(3, "").is_split


@pytest.mark.parametrize("text", ["", "{}", "17", "-1", '"2"'])
def test_a_number_that_is_damaged_is_not_believed(tmp_path, text):
    (tmp_path / "takes_at_once.json").write_text(text)

    assert TakesAtOnce(2, str(tmp_path)).count == 2


def test_once_split_a_job_stays_so(tmp_path):
    first = TakesAtOnce(3, str(tmp_path))
    first.split()

    resumed = TakesAtOnce(3, str(tmp_path))

    assert resumed.is_split
    units = resumed.units(FrameRange(1, 2), EngineJob((1, 2)))
    assert [(u.takes, u.frame) for u in units] == [((0,), 1), ((0,), 2), ((1,), 1), ((1,), 2)]


def test_units_go_group_by_group_and_count_what_is_wanted():
    done = (frozenset({1}), frozenset(), frozenset({1, 2}))

    units = TakesAtOnce(2, "").units(FrameRange(1, 2), EngineJob((1, 2, 3), done=done))

    assert [(u.takes, u.frame, u.wanted, u.place) for u in units] == [
        ((0, 1), 1, (1,), 0),
        ((0, 1), 2, (0, 1), 1),
    ]


@pytest.mark.parametrize(
    ("takes", "free", "each", "expected"),
    [(3, 10.0, 2.0, 3), (9, 100.0, 2.0, MOST), (3, 5.0, 2.0, 2), (3, 0.0, 2.0, 1), (1, 99, 1, 1)],
)
def test_as_many_takes_as_fit_go_together(takes, free, each, expected):
    assert fitting(takes, free, each) == expected


def test_on_a_cpu_takes_are_made_one_by_one(engine):
    watch = RecordingWatch()

    fill(engine, noisy_shot(), job_of(engine, seeds=(1, 2)), watch)

    assert watch.notes["takes_at_once"] == 1


def test_where_memory_gives_out_takes_are_made_one_by_one_and_it_is_said(
    engine, tmp_path, monkeypatch
):
    shot, seeds = noisy_shot(64, 64, 2), (1, 2)
    alone = fill(engine, shot, job_of(engine, seeds=seeds, takes_at_once=1))
    filled, sizes = Painter.filled, []

    def full(painter, scene, call):
        sizes.append(len(call.seeds))
        if len(call.seeds) > 1:
            raise OutOfMemory("full", hint="none")
        return filled(painter, scene, call)

    monkeypatch.setattr(Painter, "filled", full)
    watch = RecordingWatch()

    made = fill(engine, shot, job_with(engine, tmp_path, seeds=seeds, takes_at_once=2), watch)

    assert sizes == [2, 1, 1, 1, 1]
    assert any("no room for 2 takes" in line for line in watch.lines)
    assert watch.notes["takes_at_once"] == 1
    by_place = {(f.take_index, f.frame): f.pixels for f in made}
    for frame in alone:
        np.testing.assert_array_equal(by_place[frame.take_index, frame.frame], frame.pixels)
    assert TakesAtOnce(2, str(tmp_path)).is_split


def test_no_memory_for_one_take_is_an_error(engine, monkeypatch):
    def full(painter, scene, call):
        raise OutOfMemory("full", hint="none")

    monkeypatch.setattr(Painter, "filled", full)

    with pytest.raises(OutOfMemory):
        fill(engine, noisy_shot(), job_of(engine, seeds=(1, 2), takes_at_once=2))
