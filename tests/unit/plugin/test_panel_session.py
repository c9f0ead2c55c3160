import pytest

from genai_fill.app.panel_state import PanelState
from genai_fill_contract.errors import ErrorCode, ErrorReport
from genai_fill_contract.job import JobState
from tests.unit.plugin.rig import Rig


@pytest.fixture
def rig():
    rig = Rig()
    rig.host.add()
    rig.session.follow_selection()
    return rig


def test_without_a_node_there_is_nothing_to_show():
    rig = Rig()
    rig.session.follow_selection()
    assert rig.session.state == PanelState()


def test_the_selected_nodes_settings_are_shown(rig):
    rig.host.add("u2", "Other", form={"prompt": "a tree"})
    rig.session.follow_selection()
    assert rig.session.state.node_name == "Other"
    assert rig.session.state.form.prompt == "a tree"


def test_a_node_whose_button_was_pressed_stays_in_view_until_the_selection_changes(rig):
    rig.host.add("u2", "Other")
    rig.session.focus("u1")
    rig.session.follow_selection()
    assert rig.session.state.node_name == "GenAIFill1"
    rig.host.selection = None
    rig.session.follow_selection()
    assert rig.session.state.node_name is None
    rig.session.focus("u1")
    rig.session.follow_selection()
    assert rig.session.state.node_name == "GenAIFill1"
    rig.host.selection = "u2"
    rig.session.follow_selection()
    assert rig.session.state.node_name == "Other"


def test_when_the_node_in_view_is_deleted_the_selected_one_is_shown(rig):
    rig.host.add("u2", "Other")
    rig.session.follow_selection()
    rig.session.focus("u1")
    del rig.host.states["u1"]
    rig.session.refresh()
    rig.session.follow_selection()
    assert rig.session.state.node_name == "Other"


def test_listeners_hear_of_changes_and_of_nothing_else(rig):
    rig.session.refresh_engines()
    heard = []
    end = rig.session.subscribe(heard.append)
    rig.session.edit(prompt="a wall")
    rig.session.refresh()
    assert [state.form.prompt for state in heard] == ["a wall"]
    end()
    end()
    rig.session.edit(prompt="a door")
    assert len(heard) == 1


def test_an_unknown_field_is_a_mistake_of_the_caller(rig):
    with pytest.raises(TypeError, match="promt"):
        rig.session.edit(promt="a wall")


def test_another_engine_starts_with_its_defaults(rig):
    rig.session.set_option("detail", 5)
    rig.session.edit(engine_id="painter")
    assert rig.session.state.form.engine_options == {}


def test_an_option_that_equals_the_default_is_not_kept(rig):
    rig.session.refresh_engines()
    rig.session.set_option("detail", 5)
    assert rig.session.state.form.engine_options == {"detail": 5}
    rig.session.set_option("detail", 3)
    assert rig.session.state.form.engine_options == {}


def test_an_option_out_of_range_is_an_error_in_words(rig):
    rig.session.refresh_engines()
    rig.session.set_option("detail", 99)
    assert rig.session.state.error.code is ErrorCode.INVALID_OPTION
    assert rig.session.state.form.engine_options == {}
    rig.session.dismiss_error()
    assert rig.session.state.error is None


def test_options_go_back_to_defaults(rig):
    rig.session.set_option("detail", 5)
    rig.session.reset_options()
    assert rig.session.state.form.engine_options == {}


def test_a_rolled_seed_is_on_the_node(rig):
    rig.session.roll_seed()
    assert rig.host.node("u1").form.seed == 100


def test_engines_are_shown_and_offered_on_the_node(rig):
    rig.session.refresh_engines()
    state = rig.session.state
    assert state.backend == "connected"
    assert [engine.id for engine in state.engines] == ["cleanplate", "painter", "big"]
    assert state.engine.label == "Clean plate"
    assert rig.host.offered == ("cleanplate", "painter", "big")


def test_a_backend_being_started_is_said():
    rig = Rig()
    rig.backend.up = False
    words = []
    rig.session.subscribe(lambda state: words.append(state.backend))
    rig.session.refresh_engines()
    assert words == ["not running", "starting", "connected"]


def test_a_panel_that_opens_finds_the_engines_of_a_backend_that_runs():
    rig = Rig()
    rig.host.add()
    rig.session.follow_selection()
    rig.session.subscribe(lambda state: None)
    assert rig.session.state.backend == "connected"
    assert rig.session.state.engine.id == "cleanplate"


def test_a_panel_that_opens_starts_no_backend_and_complains_of_none():
    rig = Rig()
    rig.backend.up = False
    rig.session.subscribe(lambda state: None)
    assert rig.process.starts == 0
    assert rig.session.state.backend == "not running"
    assert rig.session.state.error is None


def test_a_fill_that_started_the_backend_makes_the_engines_known():
    rig = Rig()
    rig.host.add()
    rig.session.follow_selection()
    rig.backend.up = False
    rig.session.generate()
    assert rig.session.state.engine.id == "cleanplate"


def test_a_backend_that_is_not_there_is_said_with_a_hint():
    rig = Rig(GENAI_FILL_BACKEND_AUTOSTART="no")
    rig.backend.up = False
    rig.session.refresh_engines()
    assert rig.session.state.backend == "not running"
    assert rig.session.state.error.hint


def test_engines_are_asked_for_once_at_a_time():
    rig = Rig(at_once=False)
    rig.session.refresh_engines()
    rig.session.refresh_engines()
    assert rig.tasks.started == ["engines"]
    rig.tasks.run()
    rig.session.refresh_engines()
    assert rig.tasks.started == ["engines", "engines"]


def test_generating_shows_the_take_and_ends_idle(rig):
    rig.session.generate()
    state = rig.session.state
    (row,) = state.takes
    assert (row.label, row.chosen, row.frames_done, row.frames_total) == ("v001", True, 4, 4)
    assert state.activity.state is JobState.DONE
    assert not state.activity.can_cancel
    assert state.log == ("loading",)
    assert state.error is None


def test_newest_takes_come_first(rig):
    rig.session.generate()
    rig.session.generate()
    assert [row.label for row in rig.session.state.takes] == ["v002", "v001"]


def test_activity_can_be_cancelled_while_it_goes_on():
    rig = Rig(at_once=False)
    rig.host.add()
    rig.session.follow_selection()
    rig.session.generate()
    assert rig.session.state.activity.can_cancel
    assert rig.session.state.activity.phase == "Getting ready"
    rig.session.cancel()
    assert rig.session.state.activity.phase == "Cancelling"
    assert not rig.session.state.activity.can_cancel
    rig.tasks.run()
    assert rig.session.state.activity.state is JobState.CANCELLED
    assert rig.backend.requests == []


def test_cancelling_a_running_job_tells_the_backend(rig):
    rig.backend.on_event = lambda event: rig.session.cancel() if event.id == 4 else None
    rig.session.generate()
    assert rig.backend.cancelled == ["job1"]
    assert rig.session.state.activity.state is JobState.CANCELLED


def test_generating_twice_is_refused_in_words():
    rig = Rig(at_once=False)
    rig.host.add()
    rig.session.follow_selection()
    rig.session.generate()
    rig.session.generate()
    assert "being filled already" in rig.session.state.error.message
    assert rig.tasks.started.count("fill u1") == 1


def test_a_node_may_be_filled_again_as_soon_as_it_says_that_it_is_done(rig):
    say = rig.host.say

    def say_and_press(uuid, text, *, is_error=False):
        say(uuid, text, is_error=is_error)
        if text.startswith("Done") and len(rig.backend.requests) == 1:
            rig.session.generate()

    rig.host.say = say_and_press
    rig.session.generate()
    assert len(rig.backend.requests) == 2
    assert rig.session.state.error is None
    assert [row.frames_done for row in rig.session.state.takes] == [4, 4]
    assert not rig.session.state.activity.can_cancel


def test_several_nodes_are_filled_at_once_and_keep_apart():
    rig = Rig(at_once=False)
    rig.host.add("u1", "GenAIFill1", form={"takes": 2})
    rig.session.follow_selection()
    rig.session.generate()
    rig.host.add("u2", "GenAIFill2")
    rig.session.follow_selection()
    rig.session.generate()
    rig.tasks.run()
    assert len(rig.host.node("u1").takes.takes) == 2
    assert len(rig.host.node("u2").takes.takes) == 1
    assert rig.session.state.node_name == "GenAIFill2"
    assert {known.take.job_id for known in rig.host.node("u1").takes.takes} == {"job1"}


def test_an_error_stays_until_the_next_action(rig):
    rig.backend.fails_with = ErrorReport(ErrorCode.GENERATION_FAILED, "It failed.", "Try again.")
    rig.session.generate()
    assert rig.session.state.error.message == "It failed."
    rig.session.follow_selection()
    assert rig.session.state.error is not None
    rig.session.edit(prompt="again")
    assert rig.session.state.error is None


def test_a_fault_of_ours_is_an_error_in_words_and_not_a_dead_thread(rig, caplog):
    rig.backend.submit = lambda request, key: 1 / 0
    rig.session.generate()
    assert rig.session.state.error.code is ErrorCode.INTERNAL
    assert not rig.session.state.activity.can_cancel
    assert "ZeroDivisionError" in caplog.text


def test_takes_are_chosen_forgotten_recalled_and_revealed(rig):
    rig.session.edit(prompt="first", engine_options={"detail": 4})
    rig.session.generate()
    rig.session.edit(prompt="second", engine_id="painter")
    rig.session.choose_take(None)
    assert rig.host.shown[-1] == (None, True)
    rig.session.restore_take_settings(1)
    form = rig.session.state.form
    assert (form.prompt, form.seed, form.engine_id) == ("first", 100, "cleanplate")
    assert form.engine_options == {"detail": 4}
    assert form.seed_locked
    rig.session.reveal_take(1)
    assert rig.browser.shown == ["/shots/sh010/genai_fill/GenAIFill1/GenAIFill1_v001"]
    rig.session.choose_take(1)
    rig.session.forget_take(1)
    assert rig.session.state.takes == ()
    assert rig.host.node("u1").chosen is None


def test_a_take_that_is_not_there_is_an_error_in_words(rig):
    rig.session.choose_take(9)
    assert rig.session.state.error.code is ErrorCode.INVALID_REQUEST


def test_actions_without_a_node_say_so():
    rig = Rig()
    rig.session.generate()
    assert rig.session.state.error.code is ErrorCode.NODE_GONE


def test_a_deleted_node_leaves_an_empty_panel(rig):
    rig.host.states.clear()
    rig.session.edit(prompt="x")
    assert rig.session.state.node_name is None


def test_a_node_deleted_while_it_is_filled_ends_with_an_empty_panel(rig):
    rig.backend.on_event = lambda event: rig.host.states.clear() if event.id == 4 else None
    rig.session.generate()
    assert rig.session.state.node_name is None


def test_creating_a_node_looks_at_it():
    rig = Rig()
    rig.session.create_node()
    assert rig.session.state.node_name == "GenAIFill9"


def test_selecting_a_node_takes_up_the_job_it_kept():
    rig = Rig()
    rig.host.add()
    rig.submit("u1", rig.watch())
    rig.session.follow_selection()
    assert rig.session.state.takes[0].frames_done == 4
    assert rig.session.state.activity.state is JobState.DONE


def test_opening_a_script_takes_up_the_jobs_of_every_node():
    rig = Rig()
    rig.host.add("u1")
    rig.host.add("u2")
    rig.submit("u1", rig.watch())
    rig.submit("u2", rig.watch())
    rig.session.resume_all()
    assert all(not rig.host.node(uuid).job_id for uuid in ("u1", "u2"))


def test_a_job_out_of_reach_is_not_looked_for_at_every_click():
    rig = Rig(GENAI_FILL_BACKEND_AUTOSTART="no")
    rig.host.add()
    rig.submit("u1", rig.watch())
    rig.backend.up = False
    rig.session.follow_selection()
    rig.session.follow_selection()
    assert rig.tasks.started.count("fill u1") == 1
    rig.backend.up = True
    rig.session.refresh_engines()
    assert rig.host.node("u1").job_id == ""


def test_pictures_come_once_the_backend_is_known(rig):
    rig.session.generate()
    assert rig.session.state.takes[0].thumbnail_png == b"\x89PNG\x00"
    asked = len(rig.backend.pictures_asked)
    rig.session.refresh()
    assert len(rig.backend.pictures_asked) == asked


def test_pictures_of_jobs_that_the_backend_forgot_are_left_out(rig):
    rig.session.generate()
    rig.backend.jobs.clear()
    other = Rig()
    other.host.states, other.host.connected = rig.host.states, rig.host.connected
    other.host.selection = "u1"
    other.session.follow_selection()
    other.session.refresh_engines()
    assert other.session.state.takes[0].thumbnail_png == b""
    assert other.session.state.error is None


def test_a_panel_that_shows_a_node_wakes_the_backend_once_for_its_engines():
    rig = Rig()
    rig.backend.up = False
    rig.host.add()
    rig.session.subscribe(lambda state: None)
    assert rig.session.state.backend == "not running"
    rig.session.follow_selection()
    rig.session.follow_selection()
    assert rig.session.state.engines
    assert rig.session.state.backend == "connected"
    assert rig.tasks.started.count("engines") == 2  # the quiet question and the waking one
