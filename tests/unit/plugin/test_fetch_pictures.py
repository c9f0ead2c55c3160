"""Previews of takes that are being made: asked for again, but never in a hurry."""

from dataclasses import replace

import pytest

from genai_fill.app.fetch_pictures import PREVIEW_PAUSE_S, FetchPictures
from genai_fill.domain.takes import TakeList
from genai_fill_contract.errors import MissingFrames
from genai_fill_contract.job import JobState
from tests.unit.plugin.rig import Rig


class Desk:
    """Pictures of a job of two takes, of which nothing is finished."""

    def __init__(self) -> None:
        self.rig = Rig(at_once=False)
        self.rig.host.add("u1", form={"takes": 2})
        self.job = self.rig.submit("u1", self.rig.watch())
        self.takes = TakeList().with_job(self.job).takes
        self.changes = 0
        self.now = 100.0
        self.shown = b"noise"
        self.asked = []
        self.rig.backend.thumbnail = self.thumbnail
        self.pictures = FetchPictures(
            self.rig.host, self.rig.connection, self.rig.tasks, self.change, lambda: self.now
        )

    def change(self) -> None:
        self.changes += 1

    def thumbnail(self, job_id, index, *, frame, width):
        self.asked.append((index, frame))
        if self.shown is None:
            raise MissingFrames("Not yet.", hint="Wait.")
        return self.shown

    def work(self) -> None:
        while self.rig.tasks.waiting:
            self.rig.tasks.waiting.popleft()()

    def seen(self):
        return dict(self.pictures.pictures)


@pytest.fixture
def desk():
    return Desk()


def test_what_is_being_made_is_seen_and_renewed(desk):
    key = (desk.job.id, 0)
    desk.pictures.want_preview(desk.takes)
    desk.work()
    assert desk.seen() == {key: b"noise"}

    desk.shown, desk.now = b"layout", desk.now + PREVIEW_PAUSE_S
    desk.pictures.want_preview(desk.takes)
    desk.work()
    assert desk.seen() == {key: b"layout"}
    assert desk.changes == 2


def test_news_of_a_job_many_times_a_second_asks_once_a_second(desk):
    for _ in range(200):
        desk.pictures.want_preview(desk.takes)
        desk.work()
        desk.now += 0.05
    assert 9 <= len(desk.asked) <= 11
    assert desk.changes == 1  # the same picture again is no news


def test_a_slow_backend_is_not_asked_again_before_it_has_answered(desk):
    for _ in range(10):
        desk.pictures.want_preview(desk.takes)
        desk.now += 2 * PREVIEW_PAUSE_S
    assert len(desk.rig.tasks.waiting) == 1
    desk.work()
    desk.pictures.want_preview(desk.takes)
    assert len(desk.rig.tasks.waiting) == 1


def test_an_engine_that_shows_nothing_is_asked_again_and_nothing_is_seen(desk):
    desk.shown = None
    for _ in range(3):
        desk.pictures.want_preview(desk.takes)
        desk.work()
        desk.now += PREVIEW_PAUSE_S
    assert len(desk.asked) == 3
    assert desk.seen() == {}
    assert desk.changes == 0


def test_the_take_that_is_being_made_is_the_first_without_a_frame(desk):
    first, second = desk.takes
    finished = replace(first, take=replace(first.take, frames_done=(1001,)))
    desk.pictures.want_preview((finished, second))
    desk.work()
    assert [index for index, _ in desk.asked] == [1]
    done = replace(second, take=replace(second.take, frames_done=(1001,)))
    desk.now += PREVIEW_PAUSE_S
    desk.pictures.want_preview((finished, done))
    assert not desk.rig.tasks.waiting


def test_a_finished_frame_takes_the_place_of_the_preview(desk):
    first, second = desk.takes
    desk.pictures.want_preview(desk.takes)
    desk.work()
    desk.shown = b"picture"
    desk.pictures.want((replace(first, take=replace(first.take, frames_done=(1001,))), second))
    desk.work()
    assert desk.seen() == {(desk.job.id, 0): b"picture"}


def test_a_job_that_ended_leaves_no_preview(desk):
    desk.pictures.want_preview(desk.takes)
    desk.work()
    desk.pictures.forget_job("another")
    assert desk.seen()
    desk.pictures.forget_job(desk.job.id)
    assert desk.seen() == {}


def test_the_panel_asks_while_a_job_runs_and_not_after():
    rig = Rig()
    rig.host.add()
    rig.session.follow_selection()
    rig.session.refresh_engines()
    seen = []

    def look(event):
        take = rig.session.state.takes[0] if rig.session.state.takes else None
        if event.state is JobState.RUNNING and take and not take.frames_done:
            seen.append(take.thumbnail_png)

    rig.backend.on_event = look
    rig.session.generate()

    assert b"\x89PNG\x00" in seen
    asked = rig.tasks.started.count("preview")
    assert asked >= 1
    rig.session.refresh()
    assert rig.tasks.started.count("preview") == asked
