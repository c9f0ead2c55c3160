"""Where a frame has no picture it gives none: outside its data window, along a black edge."""

from __future__ import annotations

import numpy as np
import pytest

from genai_fill_contract.plate import FrameRange, Window
from genai_fill_server.engines.cleanplate import create
from genai_fill_server.engines.cleanplate.borders import Border, bars, close_outside
from genai_fill_server.service.ports import EngineJob
from tests.fakes.array_shot import ArrayShot, QuietWatch
from tests.fakes.known_answers import disc, known_shot

WIDTH, HEIGHT, COUNT = 220, 150, 6
EDGE = 45
"""Where the picture of all frames but the first begins: in the middle of the first one's hole."""


def shot_and_mattes(pan):
    """A hole at the left of the first frame; in the others the object is far to the right."""
    shot = known_shot(frames=COUNT, pan=(pan, 0.0), speed=0.0, radius=14.0)
    mattes = np.stack([disc(160, 75, 14, WIDTH, HEIGHT)] * COUNT)
    mattes[0] = disc(EDGE, 75, 14, WIDTH, HEIGHT)
    plates = shot.truths.copy()
    plates[mattes > 0] = 0.9
    return plates, mattes, shot.truths


def first_frame(plates, mattes, **more):
    shot = ArrayShot(plates, mattes, frames=FrameRange(1001, 1001), **more)
    job = EngineJob((1,), options={"report_layers": True})
    (frame,) = create({"worker.threads": 2})[0].fill(shot, job, QuietWatch())
    return frame


@pytest.mark.parametrize("pan", [0.0, 2.0])
@pytest.mark.parametrize("by", ["data window", "black edge"])
def test_what_no_frame_shows_is_not_black_but_invented(pan, by):
    plates, mattes, truths = shot_and_mattes(pan)
    windows = {}
    if by == "data window":
        windows = {1001 + i: Window(EDGE, 0, WIDTH, HEIGHT) for i in range(1, COUNT)}
    else:
        plates[1:, :, :EDGE] = 0.0

    frame = first_frame(plates, mattes, data_windows=windows)

    hole = mattes[0] > 0
    assert frame.pixels[hole].min() > 0.5 * truths[0][hole].min()
    assert 0.3 < frame.layers["invented"][hole].mean() < 0.7
    shown = hole & (np.arange(WIDTH) > EDGE + 14)
    np.testing.assert_allclose(frame.pixels[shown], truths[0][shown], rtol=0.15)


def test_a_frame_whose_data_window_is_whole_gives_what_the_others_lack():
    plates, mattes, truths = shot_and_mattes(0.0)
    windows = {1001 + i: Window(EDGE, 0, WIDTH, HEIGHT) for i in range(1, COUNT - 1)}

    frame = first_frame(plates, mattes, data_windows=windows)

    hole = mattes[0] > 0
    assert frame.layers["invented"][hole].sum() == 0
    np.testing.assert_allclose(frame.pixels[hole], truths[0][hole], rtol=0.05)


def test_letterbox_bars_stay_black_where_an_object_reaches_into_them():
    plates, mattes, _ = shot_and_mattes(0.0)
    plates[:, :20] = plates[:, -20:] = 0.0
    mattes[0] = disc(EDGE, 14, 14, WIDTH, HEIGHT)
    plates[0][mattes[0] > 0] = 0.9

    frame = first_frame(plates, mattes)

    in_bar = mattes[0] > 0
    in_bar[19:] = False
    assert in_bar.sum() > 200
    assert np.abs(frame.pixels[in_bar]).max() == 0.0


def test_texture_is_not_copied_from_outside_the_data_window():
    plates, mattes, truths = shot_and_mattes(0.0)
    window = Window(EDGE + 20, 0, WIDTH, HEIGHT)
    mattes[0] = disc(EDGE + 32, 75, 14, WIDTH, HEIGHT)
    plates[0][mattes[0] > 0] = 0.9

    frame = first_frame(plates[:1], mattes[:1], data_windows={1001: window})

    hole = mattes[0] > 0
    inside = hole & (np.arange(WIDTH) >= window.x0)
    assert frame.pixels[inside].min() > 0.5 * truths[0][:, window.x0 :].min()


@pytest.mark.parametrize(
    ("data", "open_px"),
    [
        (Window(0, 0, 100, 100), 48),
        (Window(12, 0, 100, 100), 36),
        (Window(0, 0, 15, 23), 15),
        (Window(10, 20, 10, 20), 0),
        (Window(50, 50, 60, 60), 0),
    ],
)
def test_what_lies_outside_the_data_window_is_closed(data, open_px):
    closed = np.zeros((6, 8), np.bool_)

    close_outside(closed, Window(10, 20, 18, 26), data)

    assert int((~closed).sum()) == open_px


def test_an_empty_pixel_of_the_proxy_closes_all_that_it_stands_for():
    empty = np.zeros((10, 10), np.bool_)
    empty[:, 0] = True
    closed = np.zeros((4, 9), np.bool_)

    Border(Window(0, 0, 30, 30), empty, 3).close(closed, Window(1, 5, 10, 9))

    assert closed[:, :2].all()
    assert not closed[:, 2:].any()


def test_bars_that_are_a_data_window_stay_black_too():
    plates, mattes, _ = shot_and_mattes(0.0)
    mattes[0] = disc(EDGE, 14, 14, WIDTH, HEIGHT)
    plates[0][mattes[0] > 0] = 0.9
    windows = {1001 + index: Window(0, 20, WIDTH, 130) for index in range(COUNT)}

    frame = first_frame(plates, mattes, data_windows=windows)

    in_bar = mattes[0] > 0
    in_bar[20:] = False
    assert in_bar.sum() > 200
    assert np.abs(frame.pixels[in_bar]).max() == 0.0
    assert frame.layers["invented"][in_bar].max() == 0.0


def test_a_black_edge_of_the_frames_own_makes_no_other_edge_a_bar():
    plates, mattes, truths = shot_and_mattes(0.0)
    plates[0, :, -10:] = 0.0
    plates[1:, :, :EDGE] = 0.0

    frame = first_frame(plates, mattes)

    hole = mattes[0] > 0
    assert frame.pixels[hole].min() > 0.5 * truths[0][hole].min()


def left_of_the_edge(plates, mattes, index, windows, **options):
    """Fill one frame; return its pixels and truths under the matte left of `EDGE`."""
    plates[mattes > 0] = 0.9
    job = EngineJob((1,), options=options)
    shot = ArrayShot(plates, mattes, data_windows=windows)
    made = {f.frame: f for f in create({"worker.threads": 2})[0].fill(shot, job, QuietWatch())}
    return made[1001 + index].pixels[(mattes[index] > 0) & (np.arange(WIDTH) < EDGE)]


@pytest.mark.parametrize("by", ["data window", "black edge"])
def test_a_key_gives_no_black_from_where_it_has_no_picture(by):
    _, _, truths = shot_and_mattes(0.0)
    mattes = np.stack([disc(160, 75, 20, WIDTH, HEIGHT)] * COUNT)
    mattes[3] = disc(EDGE, 75, 14, WIDTH, HEIGHT)
    plates, windows = truths.copy(), {}
    for index in (0, 1, 2, 4, 5):
        if by == "data window":
            windows[1001 + index] = Window(EDGE, 0, WIDTH, HEIGHT)
        else:
            plates[index, :, :EDGE] = 0.0

    made = left_of_the_edge(plates, mattes, 3, windows, direction="before")

    assert len(made) > 200
    assert made.min() > 0.5 * truths[3][mattes[3] > 0].min()


def test_a_key_between_frames_that_show_nothing_gives_no_black_either():
    _, _, truths = shot_and_mattes(0.0)
    mattes = np.zeros((COUNT, HEIGHT, WIDTH), np.float32)
    mattes[1] = disc(165, 75, 25, WIDTH, HEIGHT)
    mattes[3] = disc(EDGE, 75, 14, WIDTH, HEIGHT)
    windows = {1001 + index: Window(EDGE, 0, 130, HEIGHT) for index in range(COUNT)}
    windows |= {1002: Window(EDGE, 0, WIDTH, HEIGHT), 1004: Window(0, 0, 130, HEIGHT)}

    made = left_of_the_edge(truths.copy(), mattes, 3, windows)

    assert made.min() > 0.5 * truths[3][mattes[3] > 0].min()


def test_bars_are_what_is_black_all_along_an_edge():
    empty, hole = np.zeros((40, 60), np.bool_), np.zeros((40, 60), np.bool_)
    empty[:5], empty[-3:], empty[:30, 50:] = True, True, True
    hole[2:8, 10:20] = True
    empty[hole] = False

    found = bars(empty, hole)

    assert found[:5].all()
    assert found[-3:].all()
    assert not found[5:-3].any()
    assert not bars(np.zeros_like(empty), hole).any()
    assert bars(np.ones_like(empty), hole).all()
