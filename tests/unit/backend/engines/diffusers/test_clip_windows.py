"""Prompts longer than CLIP's 77 tokens, read window by window."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from genai_fill_server.engines.diffusers.families import clip_windows
from tests.compliance.engines.suite import RecordingWatch
from tests.unit.backend.engines.diffusers.arrays import noisy_shot
from tests.unit.backend.engines.diffusers.driving import engine_of, fill, job_of

# One token a word, so that windows end where words do.
SHORT = "b " * 75
LONG = "a " * 75 + "b " * 75 + "c"


@pytest.fixture(scope="module", params=["stable-diffusion", "stable-diffusion-xl"])
def engine(request, tiny):
    engine = engine_of(tiny(request.param))
    engine.prepare(RecordingWatch())
    yield engine
    engine.release()


def encoded(engine, prompt, negative="", **options):
    family, pipe = engine._model.family, engine._loaded.pipe
    with torch.no_grad():
        return family.encode(pipe, prompt, negative, job_of(engine, **options).options)


def only(engine, prompt, watch=None, **settings):
    (frame,) = fill(engine, noisy_shot(), job_of(engine, prompt=prompt, **settings), watch)
    return frame.pixels


def test_each_window_is_what_the_pipeline_makes_of_it_alone(engine):
    long = encoded(engine, LONG)["prompt_embeds"]

    assert long.shape[1] == 3 * 77
    for place, part in enumerate(("a " * 75, "b " * 75, "c")):
        alone = encoded(engine, part)["prompt_embeds"]
        torch.testing.assert_close(long[:, 77 * place : 77 * (place + 1)], alone)


def test_the_negative_is_as_long_as_the_prompt_and_the_other_way_round(engine):
    for prompt, negative in ((LONG, "x"), ("x", LONG), (LONG, "")):
        made = encoded(engine, prompt, negative)
        assert made["prompt_embeds"].shape == made["negative_prompt_embeds"].shape

    without = encoded(engine, LONG, "x", guidance=1.0)
    assert without.get("negative_prompt_embeds") is None


def test_a_long_prompt_is_read_to_its_end_and_none_of_it_is_called_cut(engine):
    watch = RecordingWatch()

    a, b = (only(engine, "a " * 200 + end, watch) for end in "yz")

    assert not np.array_equal(a, b)
    assert not [line for line in watch.lines if "tokens long" in line]


def test_what_is_longer_than_all_windows_is_still_reported(engine):
    watch = RecordingWatch()

    only(engine, "a " * 300, watch)

    assert any("302 tokens long" in line and "first 227" in line for line in watch.lines)


def test_a_prompt_of_one_window_is_left_to_the_pipeline(engine, monkeypatch):
    def refuse(*_):
        raise AssertionError("it was read in windows")

    before = encoded(engine, SHORT)["prompt_embeds"]
    monkeypatch.setattr(clip_windows, "read_windows", refuse)
    monkeypatch.setitem(type(engine._model.family).encode.__globals__, "read_windows", refuse)

    torch.testing.assert_close(encoded(engine, SHORT)["prompt_embeds"], before)


def test_a_long_prompt_without_guidance_fills(engine):
    assert np.isfinite(only(engine, LONG, guidance=1.0)).all()
