"""The recipe tells of the whole job, also where it was made in several runs."""

from __future__ import annotations

import numpy as np
import pytest

from genai_fill_server.engines.cleanplate import create
from genai_fill_server.engines.cleanplate.tally import Counted, Tally
from genai_fill_server.service.ports import EngineJob
from tests.fakes.array_shot import ArrayShot, QuietWatch
from tests.fakes.known_answers import known_shot

FRAMES = range(1001, 1009)


def told(shot, scratch, done=()):
    watch = QuietWatch()
    job = EngineJob((1,), done=(frozenset(done),), scratch_dir=str(scratch))
    list(create({"worker.threads": 1})[0].fill(shot, job, watch))
    return watch.notes["cleanplate"], watch.lines


def some_shot():
    made = known_shot(frames=len(FRAMES), width=120, height=90, pan=(2.0, 0.0), radius=9.0)
    made.mattes[:, :, :6] = 1.0  # nothing shows that
    return ArrayShot(made.plates, made.mattes)


@pytest.mark.parametrize("done", [FRAMES[:3], FRAMES[:-1], FRAMES])
def test_a_resumed_job_tells_of_all_of_its_frames(tmp_path, done):
    (tmp_path / "once").mkdir()
    whole, _ = told(some_shot(), tmp_path / "once")
    assert 5 < whole["invented_percent"] < 95
    # An earlier run came as far as this:
    (tmp_path / "twice").mkdir()
    left = [frame for frame in FRAMES if frame not in done]
    told(some_shot(), tmp_path / "twice", left)

    resumed, _ = told(some_shot(), tmp_path / "twice", done)

    assert resumed == whole
    assert resumed["frames"] == len(FRAMES)


def test_frames_left_black_before_an_interruption_are_told_of_after_it(tmp_path):
    made = known_shot(frames=3, width=60, height=40)
    shot = ArrayShot(made.plates, np.ones_like(made.mattes))
    told(shot, tmp_path, (1003,))

    _, lines = told(shot, tmp_path, (1001, 1002))

    (line,) = [line for line in lines if line.startswith("Black inside the matte")]
    assert "1001, 1002, 1003" in line


def test_without_a_hole_there_are_no_percentages():
    assert Tally().facts(FRAMES) == {"frames": 0, "filled_px": 0}


def test_sums_are_over_the_frames_that_are_asked_for():
    tally = Tally()
    tally.note(1, Counted(100, invented_px=25, patched_px=25))
    tally.note(2, Counted(100, invented_px=75))
    tally.note(9, Counted(1000, invented_px=1000, is_black=True))

    assert tally.facts((1, 2, 3)) == {
        "frames": 2,
        "filled_px": 200,
        "real_percent": 37.5,
        "patched_percent": 12.5,
        "invented_percent": 50.0,
    }
    assert tally.black() == [9]


@pytest.mark.parametrize(
    "kept",
    ["", "1001 50 ", "x y z", "1001 10 20 0 0\n", "1001 5 0 0", "1001 \udcff 1 1 1\n", "\0" * 9],
)
def test_what_a_crash_or_anybody_left_there_is_no_count(tmp_path, kept):
    path = tmp_path / "cleanplate_counts.txt"
    path.write_text("1002 40 10 0 0\n" + kept, encoding="utf-8", errors="surrogateescape")

    tally = Tally(str(tmp_path))

    assert tally.facts((1001, 1002))["filled_px"] == 40
    tally.note(1001, Counted(10))
    assert Tally(str(tmp_path)).facts((1001, 1002))["filled_px"] == 50


def test_a_folder_that_cannot_be_written_costs_nothing_but_the_count(tmp_path):
    tally = Tally(str(tmp_path / "gone"))
    tally.note(1001, Counted(10))

    assert tally.facts((1001,))["filled_px"] == 10
