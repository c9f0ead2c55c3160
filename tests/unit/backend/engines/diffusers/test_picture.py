from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genai_fill_server.engines.diffusers.picture import (
    HOLE_THRESHOLD,
    Sizing,
    fit_crop,
    hole_to_model,
    image_from_model,
    image_to_model,
)

ONE_MEGAPIXEL = Sizing(16, 512 * 512, 1024 * 1024)


@given(
    height=st.integers(1, 5000),
    width=st.integers(1, 5000),
    multiple=st.sampled_from([8, 16, 32]),
    native=st.sampled_from([256, 512, 1024]),
)
def test_every_crop_fits_the_models_sizes(height, width, multiple, native):
    sizing = Sizing(multiple, (native // 2) ** 2, native**2)

    fit = fit_crop(height, width, sizing)

    assert fit.model[0] % multiple == 0
    assert fit.model[1] % multiple == 0
    # A sliver a pixel thick must still be a multiple thick; anything else keeps the bound.
    assert fit.model[0] * fit.model[1] <= max(sizing.max_area_px, multiple * multiple)
    assert all(m >= s for m, s in zip(fit.model, fit.scaled, strict=True))


@pytest.mark.parametrize(("height", "width"), [(512, 512), (700, 900), (1024, 1024), (513, 999)])
def test_a_crop_the_model_is_good_at_is_not_resized(height, width):
    fit = fit_crop(height, width, ONE_MEGAPIXEL)
    image = np.random.default_rng(0).random((height, width, 3), dtype=np.float32)

    assert not fit.is_resized
    np.testing.assert_array_equal(image_from_model(image_to_model(image, fit), fit), image)


@pytest.mark.parametrize(("height", "width"), [(2160, 4096), (200, 300), (2500, 60)])
def test_other_crops_are_resized_and_come_back_at_their_size(height, width):
    fit = fit_crop(height, width, ONE_MEGAPIXEL)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    ramp = np.stack([x / width, y / height, 0 * x + 0.5], -1)

    there_and_back = image_from_model(image_to_model(ramp, fit), fit)

    assert fit.is_resized
    assert there_and_back.shape == ramp.shape
    assert np.abs(there_and_back - ramp).max() < 0.02


def test_the_aspect_is_kept():
    fit = fit_crop(2160, 4096, ONE_MEGAPIXEL)

    assert fit.scaled[1] / fit.scaled[0] == pytest.approx(4096 / 2160, rel=0.03)


def test_pixels_outside_zero_to_one_are_cut_before_the_model_sees_them():
    fit = fit_crop(512, 512, ONE_MEGAPIXEL)
    image = np.full((512, 512, 3), 0.5, np.float32)
    image[0, 0], image[0, 1], image[0, 2] = -3.0, 40.0, np.nan
    image[0, 3] = np.inf

    given_to_model = image_to_model(image, fit)

    assert given_to_model.min() >= 0
    assert given_to_model.max() <= 1
    assert np.isfinite(given_to_model).all()


def test_resizing_does_not_overshoot():
    fit = fit_crop(100, 100, ONE_MEGAPIXEL)
    image = np.zeros((100, 100, 3), np.float32)
    image[40:60] = 1

    assert image_to_model(image, fit).min() == 0
    assert image_to_model(image, fit).max() == 1


@pytest.mark.parametrize("size", [(2160, 4096), (700, 900)])
def test_no_pixel_of_the_hole_is_shown_to_the_model_as_kept(size):
    fit = fit_crop(*size, ONE_MEGAPIXEL)
    matte = np.zeros(size, np.float32)
    matte[301:302, 404:405] = 1

    assert hole_to_model(matte, fit).any()


def test_the_soft_edge_belongs_to_the_hole():
    fit = fit_crop(512, 512, ONE_MEGAPIXEL)
    matte = np.zeros((512, 512), np.float32)
    matte[:, 100] = 0.3
    matte[:, 200] = HOLE_THRESHOLD / 2

    hole = hole_to_model(matte, fit)

    assert hole[:, 100].all()
    assert hole.sum() == 512


def test_the_padding_continues_a_hole_that_touches_the_edge():
    fit = fit_crop(520, 520, ONE_MEGAPIXEL)
    matte = np.zeros((520, 520), np.float32)
    matte[:, -1] = 1

    assert fit.model == (528, 528)
    assert hole_to_model(matte, fit)[:520, 520].all()
