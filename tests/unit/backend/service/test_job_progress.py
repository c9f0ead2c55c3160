import pytest

from genai_fill_contract.job import FrameDone
from genai_fill_server.service.job_progress import JobProgress
from genai_fill_server.service.ports import FillCancelled, Watch
from tests.fakes.engines import WatchRecorder


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def watch():
    return WatchRecorder()


@pytest.fixture
def progress(watch, clock):
    return JobProgress(watch, 10, clock)


def test_it_is_a_watch_as_engines_know_it(progress):
    assert isinstance(progress, Watch)


def test_what_the_engine_shows_goes_on_as_it_is(progress, watch):
    picture = object()
    progress.preview(1, 1001, picture)
    assert watch.previews == [(1, 1001, picture)]


def test_the_bar_fills_by_frames_or_by_the_engines_own_word_whichever_is_further(
    progress, watch, clock
):
    progress.begin_filling()
    clock.now = 1
    progress.progress("Tracking", 3, 10)
    tracked = watch.reports[-1].fraction
    assert watch.reports[-1].phase == "Tracking"
    progress.frame_done(FrameDone(0, 1, "/a"))
    assert watch.reports[-1].fraction == tracked
    for frame in range(2, 6):
        progress.frame_done(FrameDone(0, frame, "/a"))
    assert watch.reports[-1].fraction > tracked
    fractions = [report.fraction for report in watch.reports]
    assert fractions == sorted(fractions)


def test_time_left_counts_from_where_this_run_began(progress, watch, clock):
    for frame in range(5):
        progress.frame_done(FrameDone(0, frame, "/found"))
    progress.begin_filling()
    clock.now = 10
    progress.frame_done(FrameDone(0, 5, "/made"))
    # One of the five open frames took 10 s: four are left.
    assert watch.reports[-1].eta_s == pytest.approx(40)


def test_a_chatty_engine_does_not_flood_the_stream(progress, watch, clock):
    progress.begin_filling()
    before = len(watch.reports)
    for step in range(10_000):
        clock.now = step * 0.001
        progress.progress("Sampling", step, 10_000)
    assert 50 <= len(watch.reports) - before <= 110


def test_odd_numbers_do_not_move_the_bar(progress, watch, clock):
    progress.begin_filling()
    for done, total in ((5, 0), (-3, 10), (30, -1), (float("nan"), 10)):
        clock.now += 1
        progress.progress("Sampling", done, total)
        assert 0 <= watch.reports[-1].fraction <= 1


def test_cancel_reaches_the_engine_through_any_word(progress, watch):
    watch.cancelled = True
    with pytest.raises(FillCancelled):
        progress.progress("Sampling", 1, 2)
    with pytest.raises(FillCancelled):
        progress.check()


def test_notes_are_kept_as_plain_values(progress):
    progress.note("peak", float("inf"))
    assert progress.notes == {"peak": "inf"}


@pytest.mark.parametrize("done", [float("nan"), float("inf"), float("-inf")])
def test_a_progress_that_is_no_number_counts_as_none(progress, watch, done):
    progress.begin_filling()
    progress.progress("Sampling", done, 10.0)
    progress.progress("Sampling more", 1.0, float("nan"))
    assert all(0.0 <= report.fraction <= 1.0 for report in watch.reports)
    assert watch.reports[-1].phase == "Sampling more"
