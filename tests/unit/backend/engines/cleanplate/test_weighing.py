"""Which source a pixel is taken from: against plain numpy, near the hole, on any threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_fill_server.engines.cleanplate.alignment import Alignment
from genai_fill_server.engines.cleanplate.devices.numba_device import NumbaDevice
from genai_fill_server.engines.cleanplate.encoding import LEVELS_PER_STOP
from genai_fill_server.engines.cleanplate.weighing import (
    NEIGHBOUR_COST,
    PLANE_COST,
    PLANE_PX,
    ROUNDS,
    UNUSABLE,
    apart,
    choose,
    weighed,
)
from genai_fill_server.engines.cleanplate.weighing_kernels import lower_median, middle_of

HEIGHT, WIDTH = 150, 180
HOLE = (slice(60, 90), slice(70, 110))


def beside(jobs):
    """Run jobs on threads, out of order."""
    with ThreadPoolExecutor(3) as pool:
        found = [pool.submit(job) for job in jobs]
        return [one.result() for one in found]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9))
def test_the_middle_is_the_median_of_what_is_usable(seed, count):
    random = np.random.default_rng(seed)
    levels = random.integers(0, 9, (count, 7, 11)).astype(np.float32)
    usable = random.random(levels.shape) < 0.5
    middle, number = np.full((7, 11), -1, np.float32), np.full((7, 11), -1, np.int32)

    middle_of(levels, usable, 0, 7, middle, number)

    assert np.array_equal(number, usable.sum(axis=0))
    some = number > 0
    wanted = np.nanmedian(np.where(usable, levels, np.nan)[:, some], axis=0)
    assert np.array_equal(middle[some], wanted.astype(np.float32))
    assert (middle[~some] == 0).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 8))
def test_the_lower_median_leaves_out_what_is_too_far(seed, count):
    random = np.random.default_rng(seed)
    gaps = random.integers(0, 9, (count, 5, 6)).astype(np.float32)
    gaps[random.random(gaps.shape) < 0.4] = 99.0
    middle = np.full((5, 6), -1, np.float32)

    lower_median(gaps, 0, 5, np.float32(99.0), middle)

    for at in np.ndindex(5, 6):
        known = sorted(gap for gap in gaps[:, *at] if gap < 99.0)
        assert middle[at] == (known[(len(known) - 1) // 2] if known else 99.0)


def plainly_weighed(price, planes):
    """Say once more, slowly, what labels come out: every source's price written out."""
    current = price.copy()
    for _ in range(ROUNDS):
        labels = np.argmin(current, axis=0)
        for index in range(len(price)):
            alike = cv2.blur((labels == index).astype(np.float32), (9, 9))
            current[index] = price[index] + np.float32(NEIGHBOUR_COST) * (1 - alike)
        if len(set(planes)) > 1:
            side = 2 * PLANE_PX + 1
            for index, plane in enumerate(planes):
                own = [i for i, p in enumerate(planes) if p == plane]
                alike = cv2.blur(np.isin(labels, own).astype(np.float32), (side, side))
                current[index] += np.float32(PLANE_COST) * (1 - alike)
    return np.argmin(current, axis=0)


@pytest.mark.parametrize("planes", [[0, 0, 0], [0, 1, 99, 99], [4]])
def test_labels_are_those_of_prices_written_out(planes):
    random = np.random.default_rng(len(planes))
    price = random.random((len(planes), 40, 50)).astype(np.float32)
    price = np.stack([cv2.GaussianBlur(one, (0, 0), 3) for one in price])
    price[0, :20] = UNUSABLE
    price[:, 30:, 40:] = UNUSABLE

    weights = weighed(price, planes)

    labels = plainly_weighed(price, planes)
    chosen = np.take_along_axis(price, labels[None], axis=0)[0] < UNUSABLE
    assert (weights.argmax(axis=0) == labels)[chosen].mean() > 0.99
    assert weights.sum(axis=0)[chosen] == pytest.approx(1.0, abs=1e-5)
    assert (weights[price >= UNUSABLE] == 0).all()


def source(frame, levels, usable=None, plane=0, nearness=None):
    shape = levels.shape
    return Alignment(
        frame=frame,
        plane=plane,
        place=np.zeros((*shape, 2), np.float32),
        usable=np.ones(shape, np.bool_) if usable is None else usable,
        levels=levels,
        error=np.zeros(shape, np.float32),
        gain=lambda: np.zeros((shape[0] // 2, shape[1] // 2, 3), np.float32),
        sharpness=1.0,
        nearness=nearness,
    )


class TargetWithHole:
    """What `choose` asks of a target: its frame and its hole."""

    proxy = type("ProxyOfFrame7", (), {"frame": 7})

    def __init__(self):
        self.hole = np.zeros((HEIGHT, WIDTH), np.bool_)
        self.hole[HOLE] = True


def sources():
    random = np.random.default_rng(5)
    texture = cv2.GaussianBlur(
        random.uniform(0, 255, (HEIGHT, WIDTH)).astype(np.float32), (0, 0), 2
    )
    near = np.ones((HEIGHT, WIDTH), np.float32)
    half = np.ones((HEIGHT, WIDTH), np.bool_)
    half[:75] = False
    return [
        source(8, texture),
        source(6, texture + 2),
        source(9, np.roll(texture, 9, axis=1)),
        source(8, texture, plane=1),
        source(10, texture + 1, half, plane=99, nearness=near),
        source(11, texture - 1, plane=99, nearness=near * 0.2),
    ]


def test_only_what_is_near_the_hole_is_weighed_and_all_of_the_hole_is():
    target = TargetWithHole()

    weights = choose(target, sources(), NumbaDevice())

    assert weights.shape == (6, HEIGHT, WIDTH)
    assert weights.sum(axis=0)[target.hole] == pytest.approx(1.0, abs=1e-5)
    assert (weights[:, :20] == 0).all()
    assert (weights[:, :, 160:] == 0).all()


def test_threads_change_no_bit():
    target, device = TargetWithHole(), NumbaDevice()

    alone, shared = choose(target, sources(), device), choose(target, sources(), device, beside)

    assert np.array_equal(alone, shared)


def test_the_odd_one_stands_apart_and_one_alone_is_in_between():
    levels = np.full((3, 30, 30), 100.0, np.float32)
    levels[2] += 51.0
    usable = np.ones(levels.shape, np.bool_)
    usable[1:, :, 20:] = False

    away = apart(levels, usable, several=False, run=beside)

    assert away[0, 15, 5] == pytest.approx(0.0, abs=1e-6)
    assert away[2, 15, 5] == pytest.approx(2.0, rel=1e-4)
    assert away[0, 15, 28] == pytest.approx(0.1)


SHADOWED = (slice(70, 82), slice(80, 100))


def wandering(shadow_stops, near_error=0.02):
    """Sources 1, 5, 6 and 8 frames away; in all but the nearest a shadow lies in the hole.

    The nearest is a little worse round the hole, as grain makes any of them.
    """
    random = np.random.default_rng(4)
    texture = 120 + 8 * random.standard_normal((HEIGHT, WIDTH)).astype(np.float32)
    texture = cv2.GaussianBlur(texture, (0, 0), 1.5)
    sources = []
    for frame in (8, 12, 13, 15):
        levels = texture.copy()
        if frame != 8:
            lit = np.zeros_like(levels)
            lit[SHADOWED] = shadow_stops * LEVELS_PER_STOP
            levels -= cv2.GaussianBlur(lit, (0, 0), 1.0)
        error = np.full_like(levels, near_error if frame == 8 else 0.0)
        sources.append(replace(source(frame, levels), error=error))
    return sources


def nearest_share(sources):
    """Return the share of the shadowed place that is taken from the nearest source."""
    weights = choose(TargetWithHole(), sources, NumbaDevice())
    return float(weights[0][SHADOWED].mean())


@pytest.mark.parametrize("stops", [0.7, 1.5, -0.7])
def test_where_a_shadow_wanders_the_nearest_in_time_has_it_right(stops):
    assert nearest_share(wandering(stops)) > 0.9


def test_where_nothing_moves_what_is_nearest_is_not_taken_for_right():
    assert nearest_share(wandering(0.0, near_error=0.1)) < 0.1


def test_a_near_source_that_shows_something_else_is_not_taken_for_light():
    assert nearest_share(wandering(0.7, near_error=0.6)) < 0.1
