"""What is done to a picture band by band, on any threads, gives the bits of the whole."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from genai_fill_server.engines.cleanplate import waves as waves_module
from genai_fill_server.engines.cleanplate.diffusion import pull_push
from genai_fill_server.engines.cleanplate.encoding import encode
from genai_fill_server.engines.cleanplate.evening import evened
from genai_fill_server.engines.cleanplate.waves import bands, one_by_one


@pytest.mark.parametrize("height", [1, 2, 7, 8, 9, 100])
def test_bands_hold_each_row_once_and_begin_on_even_rows(monkeypatch, height):
    monkeypatch.setattr(waves_module, "BAND_ROWS", 8)

    found = bands(height)

    assert np.concatenate([np.arange(height)[rows] for rows in found]).tolist() == [*range(height)]
    assert all(rows.start % 2 == 0 and rows.stop <= height for rows in found)


@pytest.mark.parametrize("shape", [(1, 9), (33, 50), (129, 64, 3), (90, 71, 2)])
@pytest.mark.parametrize("rows", [2, 16])
def test_pull_push_in_bands_gives_the_same_bits(monkeypatch, shape, rows):
    random = np.random.default_rng(1)
    values = random.standard_normal(shape).astype(np.float32)
    for share in (0.0, 0.02, 0.6):
        weight = (random.random(shape[:2]) < share).astype(np.float32)
        monkeypatch.setattr(waves_module, "BAND_ROWS", 1024)
        whole = pull_push(values, weight)

        monkeypatch.setattr(waves_module, "BAND_ROWS", rows)

        np.testing.assert_array_equal(pull_push(values, weight), whole)


def test_light_evened_in_bands_on_threads_gives_the_same_bits(monkeypatch):
    random = np.random.default_rng(2)
    down, across = np.mgrid[:170, :200] / 200
    sky = (0.2 + 0.3 * down + 0.1 * across)[..., None] * np.array([0.6, 0.8, 1.1])
    picture = encode((sky * (1 + 0.01 * random.standard_normal(sky.shape))).astype(np.float32))
    hole = np.hypot(down - 0.4, across - 0.5) < 0.25
    picture[hole] += 0.02 * np.sin(40 * across[hole])[:, None].astype(np.float32)
    monkeypatch.setattr(waves_module, "BAND_ROWS", 1024)
    whole = evened(picture, hole, one_by_one)

    monkeypatch.setattr(waves_module, "BAND_ROWS", 16)
    with ThreadPoolExecutor(3) as pool:
        in_bands = evened(picture, hole, lambda jobs: list(pool.map(lambda job: job(), jobs)))

    assert (whole != picture).any()
    np.testing.assert_array_equal(in_bands, whole)
