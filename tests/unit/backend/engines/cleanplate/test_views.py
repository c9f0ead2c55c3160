"""Where two frames' pixels are in each other: known flow, what is hidden, hostile flow."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from genai_fill_server.engines.cleanplate.devices.numba_device import NumbaDevice
from genai_fill_server.engines.cleanplate.views import Way, views_of
from genai_fill_server.engines.cleanplate.waves import one_by_one

HEIGHT, WIDTH = 60, 90


@dataclass(frozen=True)
class SmallVersion:
    """What is asked of a frame's small version."""

    frame: int
    levels: np.ndarray
    valid: np.ndarray


class GivenFlow:
    """Flow that is told beforehand, the same everywhere unless changed."""

    name = "given"

    def __init__(self, there, back) -> None:
        self.there = np.full((HEIGHT, WIDTH, 2), there, np.float32)
        self.back = np.full((HEIGHT, WIDTH, 2), back, np.float32)
        self.asked: list[np.ndarray] = []

    def between(self, first, second):
        self.asked.append(first)
        return self.there if len(self.asked) % 2 else self.back


@dataclass(frozen=True)
class Tools:
    device: NumbaDevice
    flow: GivenFlow


def pair(covered=None):
    random = np.random.default_rng(1)
    levels = random.integers(40, 200, (HEIGHT, WIDTH)).astype(np.uint8)
    valid = np.full(levels.shape, 255, np.uint8)
    other = valid.copy()
    if covered is not None:
        other[covered] = 0
    return SmallVersion(1, levels, valid), SmallVersion(2, levels, other)


def led(flow, covered=None, matrix=None):
    first, second = pair(covered)
    way = Way(first, second, np.eye(3) if matrix is None else matrix)
    (found,) = views_of([way], Tools(NumbaDevice(), flow), one_by_one)
    return found


def test_pixels_lie_where_plane_and_flow_take_them_and_come_back():
    matrix = np.array([[1.0, 0, 5], [0, 1, -3], [0, 0, 1]])

    there, back = led(GivenFlow((2.0, 1.0), (-2.0, -1.0)), matrix=matrix)

    assert there.known[20, 30]
    assert there.place[20, 30].tolist() == [37.0, 18.0]
    assert back.known[18, 37]
    assert back.place[18, 37].tolist() == [30.0, 20.0]
    assert np.allclose(back.matrix @ there.matrix, np.eye(3))
    assert not there.known[0, 40], "it is outside the other frame"


def test_what_does_not_return_is_not_known():
    there, back = led(GivenFlow((2.0, 1.0), (-2.0, 0.2)))

    assert not there.known.any()
    assert not back.known.any()
    assert (there.place == 0).all()


def test_nothing_is_known_under_a_matte_nor_where_it_leads_under_one():
    covered = np.s_[20:40, 50:70]

    there, back = led(GivenFlow((4.0, 0.0), (-4.0, 0.0)), covered)

    assert not there.known[20:40, 46:66].any()
    assert there.known[30, 30]
    assert not back.known[covered].any()
    assert not back.known[19, 60], "flow there looks at what is under the matte"


def test_flow_that_is_no_number_is_not_followed():
    flow = GivenFlow((1.0, 0.0), (-1.0, 0.0))
    flow.there[10:20] = np.nan
    flow.back[30:40] = np.inf
    flow.there[45, 45] = 1e30

    there, back = led(flow)

    assert np.isfinite(there.place).all()
    assert np.isfinite(back.place).all()
    assert not there.known[12, 40]
    assert not there.known[45, 45]
    assert not back.known[35, 40]
    assert there.known[25, 40]


def test_exposure_between_the_two_is_taken_out_before_flow_is_measured():
    first, second = pair()
    flow = GivenFlow((0, 0), (0, 0))
    brighter = SmallVersion(2, cv2.add(second.levels, 25.0), second.valid)

    views_of([Way(first, brighter, np.eye(3))] * 6, Tools(NumbaDevice(), flow), one_by_one)

    assert len(flow.asked) == 12
    assert np.abs(flow.asked[0].astype(int) - flow.asked[1]).max() <= 1
