"""Copied pixels become one picture: no steps of light, no less grain, nothing else touched."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from genai_fill_server.engines.cleanplate.encoding import encode
from genai_fill_server.engines.cleanplate.exemplar import synthesise
from genai_fill_server.engines.cleanplate.levels import RADIUS, Level, pyramid
from genai_fill_server.engines.cleanplate.melding import meld
from genai_fill_server.engines.cleanplate.settling import _trusts
from genai_fill_server.engines.cleanplate.softening import Softened
from genai_fill_server.engines.cleanplate.waves import one_by_one
from tests.fakes.array_shot import QuietWatch

HEIGHT, WIDTH = 96, 160
HOLE = (slice(30, 66), slice(20, 60))
AWAY_PX = 70
"""How far right of the hole its pixels are copied from."""


def noise(seed: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((HEIGHT, WIDTH, 3)).astype(np.float32)


def level_of(picture: np.ndarray, at: tuple[slice, slice] = HOLE) -> Level:
    hole = np.zeros((HEIGHT, WIDTH), np.bool_)
    hole[at] = True
    return pyramid(picture, picture, hole, lambda: None)[0]


def copied(level: Level, away: int = AWAY_PX) -> tuple[np.ndarray, np.ndarray]:
    """Copy the hole from ``away`` pixels to the right; return its pixels and their sources."""
    inside = np.ascontiguousarray(np.argwhere(level.hole), np.int32)
    sources = np.ascontiguousarray(inside + np.array([0, away], np.int32))
    level.image[inside[:, 0], inside[:, 1]] = level.image[sources[:, 0], sources[:, 1]]
    return inside, sources


def melded(level: Level, inside: np.ndarray, sources: np.ndarray, run=one_by_one) -> np.ndarray:
    meld(level, inside, sources, run, lambda: None)
    return level.image[RADIUS:-RADIUS, RADIUS:-RADIUS, :3]


def test_light_of_the_source_gives_way_to_light_round_the_hole():
    shade = np.where(np.arange(WIDTH) > 75, 0.4, 0.0).astype(np.float32)
    level = level_of(0.05 * noise() + shade[:, None])

    found = melded(level, *copied(level))

    edge = np.s_[HOLE[0].start, HOLE[1]], np.s_[HOLE[0], HOLE[1].start]
    for side in edge:
        assert abs(float(found[side].mean())) < 0.1


@pytest.mark.parametrize("scattered", [False, True], ids=["one place", "many places"])
def test_grain_is_as_strong_as_where_it_came_from(scattered):
    level = level_of(0.1 * noise())
    inside, sources = copied(level)
    if scattered:
        sources[:, 1] += np.random.default_rng(4).integers(-6, 7, len(sources), np.int32)
        level.image[inside[:, 0], inside[:, 1]] = level.image[sources[:, 0], sources[:, 1]]

    found = melded(level, inside, sources)

    def grain(picture: np.ndarray) -> float:
        return float(np.std((picture - cv2.GaussianBlur(picture, (0, 0), 1.2))[HOLE]))

    assert grain(found) == pytest.approx(grain(0.1 * noise(3)), rel=0.15)


def test_nothing_but_the_hole_changes_and_the_frame_ends_at_its_edge():
    picture, at = 0.1 * noise(), (slice(0, 40), slice(0, 30))
    plain, loud = level_of(picture, at), level_of(picture, at)
    loud.image[:RADIUS], loud.image[:, :RADIUS] = 1000.0, -1000.0

    found, other = (melded(level, *copied(level)) for level in (plain, loud))

    np.testing.assert_array_equal(found[40:], picture[40:])
    np.testing.assert_array_equal(found[:40, 30:], picture[:40, 30:])
    np.testing.assert_array_equal(found, other)


def test_what_was_copied_from_nowhere_is_led_on_from_its_neighbours():
    level = level_of(np.full((HEIGHT, WIDTH, 3), 0.5, np.float32))
    inside, sources = copied(level)
    sources[500:520] = -1

    found = melded(level, inside, sources)

    np.testing.assert_allclose(found, 0.5, atol=1e-5)


def test_threads_change_no_bit():
    one, two = level_of(noise()), level_of(noise())

    with ThreadPoolExecutor(3) as pool:
        found = melded(one, *copied(one))
        same = melded(two, *copied(two), lambda jobs: list(pool.map(lambda job: job(), jobs)))

    np.testing.assert_array_equal(found, same)


def test_an_invented_patch_of_a_shaded_wall_shows_no_seam_at_its_edge():
    columns = np.linspace(-1.2, 1.2, 240, dtype=np.float32)
    random = np.random.default_rng(6)
    bumps = cv2.GaussianBlur(random.standard_normal((160, 240)).astype(np.float32), (0, 0), 1.5)
    light = np.exp2(columns)[None, :, None] * np.exp(1.2 * bumps)[..., None]
    truth = encode((0.2 * np.repeat(light, 3, axis=2)).astype(np.float32))
    hole = np.zeros((160, 240), np.bool_)
    hole[50:110, 85:155] = True

    found = synthesise(truth, hole, hole, 1, 3, QuietWatch())

    def steps(picture: np.ndarray) -> float:
        """Mean step across the hole's upper and lower edge."""
        grey = picture.mean(axis=2)[:, 85:155]
        return float(np.abs(np.diff(grey, axis=0))[[49, 109]].mean())

    assert steps(found) < 1.25 * steps(truth)


def test_known_pixels_are_compared_the_same_however_the_hole_is_painted():
    level = level_of(noise())
    compared = Softened(level)
    before = compared.image.copy()

    level.image[level.hole] = 50.0
    compared.follow()

    np.testing.assert_array_equal(compared.image[~level.hole], before[~level.hole])
    assert (compared.image[level.hole] != before[level.hole]).all()


def test_grain_counts_less_in_comparisons_than_what_is_coarser():
    grain, coarse = noise(), cv2.GaussianBlur(noise(), (0, 0), 5)

    def left(picture: np.ndarray) -> float:
        level = level_of(picture)
        return float(np.std(Softened(level).image[..., :3]) / np.std(level.image[..., :3]))

    assert left(grain) < 0.5
    assert left(coarse) > 0.95


def test_patches_deep_inside_a_hole_still_say_something():
    away = np.array([[0.0, 3.0, 200.0, 4000.0]], np.float32)

    trust = _trusts(np.array([[True, True, True, False]]), away, one_by_one)

    assert (trust[0, :3] > 0).all()
    assert trust[0, 0] > trust[0, 1] > trust[0, 2]
    assert trust[0, 3] == 0
