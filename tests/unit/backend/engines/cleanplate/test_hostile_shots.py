"""Whatever comes in, finite pixels come out, and the plate outside the matte is untouched."""

from __future__ import annotations

import numpy as np
import pytest

from genai_fill_contract.errors import InvalidOption
from genai_fill_contract.plate import FrameRange, Window
from genai_fill_server.engines.cleanplate import create
from genai_fill_server.service.ports import EngineJob
from tests.fakes.array_shot import ArrayShot, QuietWatch
from tests.fakes.known_answers import disc, known_shot

COUNT, HEIGHT, WIDTH = 6, 90, 120


def base():
    return known_shot(frames=COUNT, width=WIDTH, height=HEIGHT, pan=(2.0, 0.0), radius=9.0)


def _with(array, at, value):
    changed = array.copy()
    changed[at] = value
    return changed


def _hostile():
    shot = base()
    plates, mattes = shot.plates, shot.mattes
    edges = np.zeros_like(mattes)
    edges[:, :, :12], edges[:, -3:] = 1.0, 1.0
    rows, columns = np.s_[:, 44:46], np.s_[:, :, 59:61]
    return {
        "empty matte": (plates, mattes * 0),
        "one frame": (plates[:1], mattes[:1]),
        "matte over every frame": (plates, np.ones_like(mattes)),
        "matte over one whole frame": (plates, _with(mattes, 3, 1.0)),
        "matte at the border": (plates, edges),
        "two pixels wide": (plates[columns], mattes[columns]),
        "two pixels high": (plates[rows], mattes[rows]),
        "one pixel": (plates[:, :1, :1], np.ones((COUNT, 1, 1), np.float32)),
        "NaN inside the matte": (_with(plates, np.s_[2, 43:47, 50:60], np.nan), mattes),
        "NaN outside the matte": (_with(plates, np.s_[3, 5:9, 5:9], np.nan), mattes),
        "infinity across": (_with(plates, np.s_[4, 45], np.inf), mattes),
        "only NaN": (plates * np.nan, mattes),
        "NaN in the matte": (plates, _with(mattes, np.s_[2, 4, 4], np.nan)),
        "constant": (np.full_like(plates, 0.4), mattes),
        "black": (plates * 0, mattes),
        "negative": (-plates, mattes),
        "enormous": (plates * 1e25, mattes),
        "float's limit": (_with(plates, np.s_[:, 5:9, 5:9], 3e38), mattes),
        "tiny": (plates * 1e-25, mattes),
    }


@pytest.mark.parametrize("name", list(_hostile()))
@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_hostile_shot_is_filled_and_the_rest_untouched(name):
    plates, mattes = _hostile()[name]
    engine = create({"worker.threads": 2})[0]

    frames = list(engine.fill(ArrayShot(plates, mattes), EngineJob(seeds=(1,)), QuietWatch()))

    assert [f.frame for f in frames] == list(range(1001, 1001 + len(plates)))
    for frame, plate, matte in zip(frames, plates, mattes, strict=True):
        hole = ~(matte <= 0)
        assert frame.pixels.dtype == np.float32
        assert np.isfinite(frame.pixels[hole]).all()
        np.testing.assert_array_equal(frame.pixels[~hole], plate[~hole])


@pytest.mark.parametrize("exemplar", [True, False])
def test_frames_of_which_nothing_is_known_are_named_in_the_log(exemplar):
    shot = known_shot(frames=3)
    source = ArrayShot(shot.plates, np.ones_like(shot.mattes), frames=FrameRange(1001, 1002))
    watch = QuietWatch()
    job = EngineJob((1, 2), options={"exemplar": exemplar})

    frames = list(create({"worker.threads": 2})[0].fill(source, job, watch))

    assert all((frame.pixels == 0.0).all() for frame in frames)
    (line,) = [line for line in watch.lines if "Black inside the matte" in line]
    assert "1001, 1002:" in line
    assert "Make the matte smaller" in line


def test_nothing_is_said_of_black_where_something_is_known():
    shot = base()
    watch = QuietWatch()

    source = ArrayShot(shot.plates[:1], shot.mattes[:1])
    list(create({"worker.threads": 2})[0].fill(source, EngineJob((1,)), watch))

    assert not any("Black" in line for line in watch.lines)


@pytest.mark.parametrize("motion", ["none", "dense"])
@pytest.mark.parametrize("columns", [2, 4, 8, 12])
def test_a_narrow_strip_of_one_neighbour_fills_a_frame_under_its_whole_matte(motion, columns):
    shot = known_shot(frames=4)
    mattes = np.ones_like(shot.mattes)
    mattes[3, :, 100 : 100 + columns] = 0.0
    source = ArrayShot(shot.plates, mattes, frames=FrameRange(1001, 1001))
    engine = create({"worker.threads": 2})[0]
    job = EngineJob((1,), options={"motion": motion})

    (frame,) = engine.fill(source, job, QuietWatch())

    np.testing.assert_allclose(frame.pixels[20:40, 100], shot.plates[3, 20:40, 100], rtol=1e-3)
    assert (frame.pixels > 0.0).all()


def test_frames_that_are_not_on_disk_are_passed_over():
    shot = base()
    source = ArrayShot(
        shot.plates, shot.mattes, missing=frozenset({1004}), frames=FrameRange(1001, 1003)
    )
    engine = create({"worker.threads": 2})[0]
    job = EngineJob(seeds=(1,), options={"report_layers": True})

    for frame in engine.fill(source, job, QuietWatch()):
        assert not (frame.frame + frame.layers["origin"] == 1004).any()
        assert np.isfinite(frame.pixels).all()


@pytest.mark.parametrize("window", [Window(30, 20, 90, 70), Window(-30, -10, 70, 120)])
def test_the_crop_is_what_comes_back(window):
    shot = base()
    engine = create({"worker.threads": 2})[0]

    whole = list(engine.fill(ArrayShot(shot.plates, shot.mattes), EngineJob((1,)), QuietWatch()))
    frames = list(
        engine.fill(ArrayShot(shot.plates, shot.mattes, crop=window), EngineJob((1,)), QuietWatch())
    )

    assert {f.window for f in frames} == {window}
    inside = window.intersection(Window(0, 0, WIDTH, HEIGHT))
    at = np.s_[inside.y0 : inside.y1, inside.x0 : inside.x1]
    mine = inside.shifted(-window.x0, -window.y0)
    for frame, full, matte in zip(frames, whole, shot.mattes, strict=True):
        part = frame.pixels[mine.y0 : mine.y1, mine.x0 : mine.x1]
        outside = matte[at] <= 0
        np.testing.assert_array_equal(part[outside], full.pixels[at][outside])


def test_an_offset_plate_window_changes_nothing():
    shot = base()
    engine = create({"worker.threads": 2})[0]

    here = list(engine.fill(ArrayShot(shot.plates, shot.mattes), EngineJob((1,)), QuietWatch()))
    there = ArrayShot(shot.plates, shot.mattes, origin=(-7, 13))
    moved = list(engine.fill(there, EngineJob((1,)), QuietWatch()))

    for a, b in zip(here, moved, strict=True):
        np.testing.assert_array_equal(a.pixels, b.pixels)


@pytest.mark.parametrize("motion", ["none", "affine", "homography", "dense"])
@pytest.mark.parametrize("detail", ["draft", "fine"])
def test_every_choice_of_options_fills(motion, detail):
    shot = base()
    options = {"motion": motion, "detail": detail, "match_lighting": False, "exemplar": False}
    engine = create({"worker.threads": 2})[0]

    frames = list(
        engine.fill(
            ArrayShot(shot.plates, shot.mattes), EngineJob((1,), options=options), QuietWatch()
        )
    )

    assert len(frames) == COUNT
    assert all(np.isfinite(f.pixels).all() for f in frames)


def test_an_unknown_option_is_refused():
    shot = base()
    engine = create({})[0]
    job = EngineJob((1,), options={"blur": 3})

    with pytest.raises(InvalidOption):
        list(engine.fill(ArrayShot(shot.plates, shot.mattes), job, QuietWatch()))


def test_a_still_is_completed_with_texture_not_blur():
    shot = known_shot(frames=1, radius=20.0)
    engine = create({"worker.threads": 1})[0]

    frame = next(
        iter(engine.fill(ArrayShot(shot.plates, shot.mattes), EngineJob((4,)), QuietWatch()))
    )

    core = disc(110 - 4.5, 75, 16.0, 220, 150) > 0.99
    slope = np.abs(np.diff(np.log2(frame.pixels), axis=0)).mean(axis=2)
    around = shot.mattes[0][1:] <= 0
    assert 0.4 < slope[core[1:]].mean() / slope[around].mean() < 1.8
