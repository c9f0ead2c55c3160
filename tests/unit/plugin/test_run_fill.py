from dataclasses import replace

import pytest

from genai_fill.app.choose_take import forget_take
from genai_fill_contract.errors import BackendLost, ErrorCode, ErrorReport
from genai_fill_contract.job import EventKind, JobState
from genai_fill_contract.plate import path_at
from tests.unit.plugin.rig import Rig


def generate(rig, uuid="u1"):
    return rig.run.generate(uuid, rig.watch())


def frames_of(rig, number=1, uuid="u1"):
    return rig.host.node(uuid).takes.get(number).take.frames_done


def test_a_fill_ends_with_every_frame_on_the_node_and_the_take_shown():
    rig = Rig()
    rig.host.add()
    job = generate(rig)
    node = rig.host.node("u1")
    assert job.state is JobState.DONE
    assert frames_of(rig) == (1001, 1002, 1003, 1004)
    assert node.chosen == 1
    assert node.job_id == ""
    assert rig.host.said["u1"][-1] == ("Done: v001, frames 1001-1004.", False)


def test_frames_are_shown_while_the_job_still_runs():
    rig = Rig()
    rig.host.add()
    seen = []

    def look(event):
        rig.clock.time += 1.0
        if event.kind is EventKind.FRAME and rig.host.node("u1").chosen is not None:
            seen.append(len(frames_of(rig)))

    rig.backend.on_event = look
    generate(rig)
    assert seen[0] < 4
    assert rig.host.reloads >= 2


def test_frames_that_come_fast_are_brought_in_together():
    rig = Rig()
    rig.host.add()
    generate(rig)  # no time passes on this clock
    assert rig.host.reloads <= 1
    assert len(frames_of(rig)) == 4


def test_a_take_chosen_by_the_artist_meanwhile_stays_chosen():
    rig = Rig()
    rig.host.add()
    generate(rig)

    def choose_the_plate(event):
        if event.kind is EventKind.LOG:
            rig.host.show_take("u1", None, undoable=True)
        rig.clock.time += 1.0

    rig.backend.on_event = choose_the_plate
    generate(rig)
    assert rig.host.node("u1").chosen is None
    assert frames_of(rig, 2) == (1001, 1002, 1003, 1004)


def test_every_take_of_a_job_comes_in():
    rig = Rig()
    rig.host.add(form={"takes": 3})
    generate(rig)
    takes = rig.host.node("u1").takes
    assert [known.take.seed for known in takes.takes] == [100, 101, 102]
    assert all(len(known.take.frames_done) == 4 for known in takes.takes)
    assert rig.host.node("u1").chosen == 1


def test_spooled_plates_are_deleted_after_the_job():
    rig = Rig()
    rig.host.add()
    generate(rig)
    assert set(rig.folders.discarded) == set(rig.folders.made)


def test_spooled_plates_stay_when_the_settings_say_so():
    rig = Rig(GENAI_FILL_SPOOL_KEEP="true")
    rig.host.add()
    generate(rig)
    assert rig.folders.discarded == []


def test_a_failed_job_says_why_on_the_node():
    rig = Rig()
    rig.host.add()
    rig.backend.fails_with = ErrorReport(
        ErrorCode.EMPTY_MATTE, "The matte is empty on frame 1003.", "Paint it."
    )
    job = generate(rig)
    assert job.state is JobState.FAILED
    assert rig.host.said["u1"][-1] == ("The matte is empty on frame 1003. Paint it.", True)
    assert rig.host.node("u1").job_id == ""


def test_what_went_wrong_before_there_was_a_job_is_said_on_the_node():
    rig = Rig()
    rig.host.add(form={"engine_id": "nobody"})
    with pytest.raises(Exception, match="no engine"):
        generate(rig)
    text, is_error = rig.host.said["u1"][-1]
    assert is_error
    assert "cleanplate" in text


def test_a_broken_connection_is_taken_up_after_the_last_event():
    rig = Rig()
    rig.host.add()
    rig.backend.down_after = 4
    job = generate(rig)
    assert job.state is JobState.DONE
    assert frames_of(rig) == (1001, 1002, 1003, 1004)
    assert rig.lines == ["loading"]


def test_a_backend_that_died_is_started_again_and_the_job_goes_on():
    rig = Rig()
    rig.host.add()
    rig.backend.down_after, rig.backend.stays_down = 5, True
    job = generate(rig)
    assert job.state is JobState.DONE
    assert rig.process.starts == 1
    assert "Connecting to the backend again" in [stage.phase for stage in rig.stages]


def test_a_backend_that_stays_away_is_said_to_be_lost_and_the_job_is_kept():
    rig = Rig(GENAI_FILL_BACKEND_AUTOSTART="no")
    rig.host.add()
    rig.backend.down_after, rig.backend.stays_down = 5, True
    begun = rig.clock.now()
    with pytest.raises(BackendLost):
        generate(rig)
    assert 60 <= rig.clock.now() - begun < 90
    assert rig.host.node("u1").job_id == "job1"
    assert rig.folders.discarded == []
    assert rig.host.said["u1"][-1][1]


def test_a_job_that_the_backend_forgot_is_lost_and_never_done():
    rig = Rig()
    rig.host.add()
    rig.backend.down_after = 4
    rig.backend.on_event = lambda event: rig.backend.jobs.clear() if event.id == 4 else None
    job = generate(rig)
    assert job.state is JobState.LOST
    assert "lost" in rig.host.said["u1"][-1][0]
    assert rig.host.node("u1").job_id == ""
    assert rig.folders.discarded == []


def test_a_job_is_taken_up_by_a_later_session_and_leaves_the_choice_alone():
    rig = Rig()
    rig.host.add()
    job = rig.submit("u1", rig.watch())
    rig.run.resume("u1", job.id, rig.watch())
    node = rig.host.node("u1")
    assert frames_of(rig) == (1001, 1002, 1003, 1004)
    assert node.chosen is None
    assert node.job_id == ""


def test_takes_missing_on_the_node_come_back_with_the_job():
    rig = Rig()
    rig.host.add()
    job = rig.submit("u1", rig.watch())
    rig.host.states["u1"] = replace(rig.host.node("u1"), takes=type(rig.host.node("u1").takes)())
    rig.run.resume("u1", job.id, rig.watch())
    assert frames_of(rig) == (1001, 1002, 1003, 1004)


def test_a_job_of_an_earlier_session_that_nobody_knows_is_let_go():
    rig = Rig()
    rig.host.add(job_id="gone")
    assert rig.run.resume("u1", "gone", rig.watch()) is None
    assert rig.host.node("u1").job_id == ""
    assert rig.stages[-1].state is JobState.LOST


def test_a_job_whose_node_was_deleted_is_followed_to_its_end_and_its_plates_go():
    rig = Rig()
    rig.host.add()
    rig.backend.on_event = lambda event: rig.host.states.clear() if event.id == 4 else None
    job = generate(rig)
    assert job.state is JobState.DONE
    assert rig.stages[-1].state is JobState.DONE
    assert set(rig.folders.discarded) == set(rig.folders.made)


def test_a_node_that_comes_back_while_its_job_runs_gets_all_of_its_frames():
    rig = Rig()
    rig.host.add()
    kept = {}

    def delete_and_undo(event):
        rig.clock.time += 1.0
        if event.id == 4:
            kept.update(rig.host.states)
            rig.host.states.clear()
        elif event.id == 8:
            rig.host.states.update(kept)
            assert 1002 not in frames_of(rig)
        elif event.id == 10:
            assert 1002 in frames_of(rig)  # before the job's end tells of all frames

    rig.backend.on_event = delete_and_undo
    generate(rig)
    assert frames_of(rig) == (1001, 1002, 1003, 1004)
    assert rig.host.node("u1").chosen == 1
    assert rig.host.node("u1").job_id == ""


def test_a_deleted_node_is_not_looked_for_all_the_time():
    rig = Rig()
    rig.host.add(form={"takes": 16})
    looks = []
    real = rig.host.node
    rig.host.node = lambda uuid: looks.append(uuid) or real(uuid)

    def delete(event):
        if event.id == 4:
            rig.host.states.clear()
            looks.clear()
        rig.clock.time += 0.1

    rig.backend.on_event = delete
    generate(rig)
    seconds = 16 * 4 * 2 * 0.1
    assert len(looks) < seconds * 1.5


def test_a_node_deleted_as_its_job_was_posted_gets_the_job_when_it_comes_back():
    rig = Rig()
    rig.host.add()
    kept = dict(rig.host.states)
    real = rig.backend.submit

    def delete(request, *, key):
        rig.host.states.clear()
        return real(request, key=key)

    def undo(event):
        rig.clock.time += 3.0
        if event.id == 4:
            rig.host.states.update(kept)
        if event.id == 8:
            assert rig.host.node("u1").job_id == "job1"

    rig.backend.submit, rig.backend.on_event = delete, undo
    assert generate(rig).state is JobState.DONE
    assert frames_of(rig) == (1001, 1002, 1003, 1004)
    assert rig.host.node("u1").job_id == ""


def test_takes_that_were_pasted_over_while_the_job_runs_come_back_with_its_next_frame():
    rig = Rig()
    rig.host.add()
    left = []

    def paste(event):
        rig.clock.time += 1.0
        if event.id == 7:
            no_takes = type(rig.host.node("u1").takes)()
            rig.host.states["u1"] = replace(rig.host.node("u1"), takes=no_takes, job_id="")
        elif event.id == 9:
            left.extend(frames_of(rig))

    rig.backend.on_event = paste
    generate(rig)
    assert left[:2] == [1001, 1002]
    assert frames_of(rig) == (1001, 1002, 1003, 1004)


def test_a_node_renamed_in_the_middle_still_gets_its_frames():
    rig = Rig()
    rig.host.add()

    def rename(event):
        rig.host.states["u1"] = replace(rig.host.node("u1"), name="Hero")

    rig.backend.on_event = rename
    generate(rig)
    assert rig.host.node("u1").name == "Hero"
    assert len(frames_of(rig)) == 4


def test_a_take_that_is_forgotten_while_it_is_made_stays_forgotten():
    rig = Rig()
    rig.host.add(form={"takes": 2})
    rig.backend.on_event = lambda event: (
        forget_take(rig.host, "u1", 1) if event.kind is EventKind.LOG else None
    )
    generate(rig)
    node = rig.host.node("u1")
    assert [known.label for known in node.takes.listed] == ["v002"]
    assert node.chosen == 2
    assert len(frames_of(rig)) == 4


def test_a_cancelled_job_says_so():
    rig = Rig()
    rig.host.add()
    rig.backend.on_event = lambda event: rig.backend.cancel(event.job_id) if event.id == 4 else None
    job = generate(rig)
    assert job.state is JobState.CANCELLED
    assert rig.host.said["u1"][-1] == ("Cancelled.", False)


def test_a_cancelled_job_says_which_frames_its_take_has_not():
    rig = Rig()
    rig.host.add()

    def cancel(event):
        if event.id == 4:
            rig.backend.cancel(event.job_id)
            take = rig.backend.jobs[event.job_id].takes[0]
            rig.files.gone = {path_at(take.path_pattern, frame) for frame in (1002, 1003, 1004)}

    rig.backend.on_event = cancel
    generate(rig)
    text = "Cancelled. v001 has no frames 1002-1004: the plate shows there."
    assert rig.host.said["u1"][-1] == (text, False)
    assert rig.host.shown[-1] == (1, False)


def test_progress_and_eta_are_told():
    rig = Rig()
    rig.host.add()
    generate(rig)
    running = [stage for stage in rig.stages if stage.phase == "Filling" and stage.eta_s]
    assert [stage.fraction for stage in running] == sorted(s.fraction for s in running)
    assert all(stage.state is JobState.RUNNING for stage in running)
