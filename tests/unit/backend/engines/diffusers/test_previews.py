from __future__ import annotations

import numpy as np
import pytest
import torch

from genai_fill_server.engines.diffusers import previews
from genai_fill_server.engines.diffusers.picture import Sizing, fit_crop
from genai_fill_server.engines.diffusers.previews import (
    LatentColours,
    Previews,
    Sight,
    fit_colours,
)
from tests.compliance.engines.suite import RecordingWatch
from tests.fakes.tiny_pipelines import NAMES
from tests.unit.backend.engines.diffusers.arrays import noisy_shot
from tests.unit.backend.engines.diffusers.driving import engine_of, fill, job_of


@pytest.fixture(scope="module", params=[n for n in NAMES if not n.endswith("controlnet")])
def engine(request, tiny):
    engine = engine_of(tiny(request.param), models__allow_non_commercial=True)
    yield engine
    engine.release()


@pytest.fixture(autouse=True)
def _every_step(monkeypatch):
    monkeypatch.setattr(previews, "EVERY_S", 0.0)


def test_what_is_shown_last_is_what_the_model_decodes(engine, monkeypatch):
    """Packing and normalising are undone for every family just as its pipeline does it."""
    engine.prepare(RecordingWatch())
    vae = engine._loaded.pipe.vae
    decoded, shown, decode, undo = [], [], vae.decode, previews.vae_latents

    def spy(z, *args, **kwargs):
        decoded.append(z.float().clone())
        return decode(z, *args, **kwargs)

    def noted(*args):
        shown.append(undo(*args))
        return shown[-1]

    monkeypatch.setattr(vae, "decode", spy)
    monkeypatch.setattr(previews, "vae_latents", noted)

    fill(engine, noisy_shot(40, 56, 1), job_of(engine))

    assert shown[-1].numel() == decoded[-1].numel()
    torch.testing.assert_close(shown[-1].flatten(), decoded[-1].flatten(), rtol=1e-4, atol=1e-4)


def test_every_step_can_be_seen_and_the_pixels_do_not_depend_on_it(engine, monkeypatch):
    watch, shot = RecordingWatch(), noisy_shot(40, 56, 1)
    job = job_of(engine, seeds=(7, 8))
    seen = fill(engine, shot, job, watch)

    assert {(take, frame) for take, frame, _ in watch.previews} == {(0, 1001), (1, 1001)}
    heights, widths, _ = watch.previews[0][2].shape
    assert heights / widths == pytest.approx(40 / 56, rel=0.2)

    monkeypatch.setattr(previews, "EVERY_S", 1e9)
    for before, after in zip(seen, fill(engine, shot, job), strict=True):
        np.testing.assert_array_equal(before.pixels, after.pixels)


class LinearVae:
    """Latents are 8 × 8 means of the picture, mixed by a matrix; decoding undoes it."""

    mix = torch.tensor([[1.0, 0.4, 0.0], [0.0, 1.0, -0.3], [0.2, 0.0, 1.0], [0.5, 0.5, 0.5]])

    def __init__(self):
        self.encoder = torch.nn.Identity()

    def encode(self, x):
        small = torch.nn.functional.avg_pool2d(x, 8)
        z = torch.einsum("nrhw,cr->nchw", small, self.mix)
        return type("Output", (), {"latent_dist": type("D", (), {"mode": lambda _: z})()})()

    def decode(self, z, return_dict):
        rgb = torch.einsum("nchw,rc->nrhw", z, torch.linalg.pinv(self.mix))
        return (torch.nn.functional.interpolate(rgb, scale_factor=8),)


def test_the_colours_of_a_linear_vae_are_found():
    colours = fit_colours(LinearVae())
    rgb = torch.tensor([0.2, 0.5, 0.8])
    z = (LinearVae.mix @ (rgb * 2 - 1))[:, None, None].expand(4, 5, 6)

    picture = colours.picture(z)

    assert picture.shape == (5, 6, 3)
    np.testing.assert_allclose(picture[2, 3], rgb, atol=0.02)


def test_fitting_is_the_same_every_time_and_draws_no_noise():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    first, second = fit_colours(LinearVae()), fit_colours(LinearVae())

    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first.weights, second.weights)
    assert torch.equal(first.bias, second.bias)


class Pipe:
    class vae:
        config = type("Config", (), {"scaling_factor": 0.5})()


COLOURS = LatentColours(torch.zeros(4, 3), torch.tensor([0.1, 0.2, float("nan")]))


def sight(height, width):
    return Sight(0, 1001, fit_crop(height, width, Sizing(8, 1, 10**8)), last=1001)


def test_previews_come_at_a_bounded_pace(monkeypatch):
    monkeypatch.setattr(previews, "EVERY_S", 0.5)
    watch, now = RecordingWatch(), [0.0]
    shower = Previews(watch, COLOURS, lambda: now[0])
    for _ in range(100):
        shower.show(Pipe, torch.zeros(1, 4, 8, 8), sight(64, 64))
        now[0] += 0.06

    assert 10 <= len(watch.previews) <= 12


def test_large_latents_are_shown_small_and_without_what_was_added_to_the_crop():
    watch = RecordingWatch()
    Previews(watch, COLOURS).show(Pipe, torch.zeros(1, 4, 300, 600), sight(2400, 4796))

    (_, _, picture) = watch.previews[0]
    assert picture.shape == (128, 256, 3)
    np.testing.assert_allclose(picture[0, 0], [0.1, 0.2, 0.0], atol=1e-6)


def test_latents_that_cannot_be_shown_are_no_reason_to_fail():
    watch = RecordingWatch()
    shower = Previews(watch, COLOURS)
    for _ in range(2):
        shower.show(Pipe, torch.zeros(1, 9, 8, 8), sight(64, 64))
    shower.show(Pipe, torch.zeros(1, 4, 8, 8), sight(64, 64))

    assert watch.previews == []
