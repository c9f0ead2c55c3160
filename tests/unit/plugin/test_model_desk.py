"""The panel's models, from the session down to a backend that behaves."""

from __future__ import annotations

from genai_fill_contract.errors import DiskFull, ErrorReport, InvalidRequest
from genai_fill_contract.job import JobState
from genai_fill_contract.models import ModelState, ModelVerb
from tests.unit.plugin.rig import Rig


def view_of(rig):
    return rig.session.state.models


def listed(rig):
    return {model.id: model.state for model in view_of(rig).models}


def test_models_are_listed_with_their_folders():
    rig = Rig()
    rig.session.refresh_models()
    assert listed(rig) == {"flux": ModelState.MISSING}
    assert view_of(rig).folders == ("/models",)
    assert not view_of(rig).is_asking


def test_models_are_asked_off_the_main_thread_and_once():
    rig = Rig(at_once=False)
    rig.session.refresh_models()
    rig.session.refresh_models()
    assert view_of(rig).is_asking
    assert rig.tasks.started == ["models"]
    rig.tasks.run()
    assert not view_of(rig).is_asking


def test_a_pull_is_followed_to_its_end_then_models_and_engines_are_asked_again():
    rig = Rig()
    seen = []
    rig.session.subscribe(
        lambda state: seen.extend(task.progress.fraction for task in state.models.tasks)
    )
    asked_before = rig.tasks.started.count("engines")

    rig.session.pull_model("flux", True)

    (verb, model_id, request) = rig.backend.asked_of_models[0]
    assert (verb, model_id, request.accept_licence) == (ModelVerb.PULL, "flux", True)
    assert (request.provenance.user, request.provenance.show) == ("ada", "show")
    assert [value for value in dict.fromkeys(seen) if value] == [1 / 3, 2 / 3]
    assert view_of(rig).task_of("flux").state is JobState.DONE
    assert listed(rig)["flux"] is ModelState.INSTALLED
    assert rig.tasks.started.count("engines") == asked_before + 1


def test_a_refused_pull_says_why_and_the_next_action_clears_it():
    rig = Rig()
    rig.backend.refuses = InvalidRequest("It must be agreed to.", hint="Read it.")
    rig.session.pull_model("flux", False)
    assert view_of(rig).error.message == "It must be agreed to."
    assert view_of(rig).tasks == ()
    assert rig.session.state.error is None

    rig.session.verify_model("flux")
    assert view_of(rig).error is None


def test_a_failed_task_keeps_its_error_and_can_be_begun_again():
    rig = Rig()
    rig.backend.breaks_with = ErrorReport.of(DiskFull("Full.", hint="Free room."))
    rig.session.pull_model("flux", True)
    assert view_of(rig).task_of("flux").error.message == "Full."
    rig.backend.breaks_with = None
    rig.session.pull_model("flux", True)
    assert view_of(rig).task_of("flux").state is JobState.DONE


def test_a_cancelled_task_ends_cancelled():
    rig = Rig(at_once=False)
    rig.session.pull_model("flux", True)
    rig.tasks.waiting.popleft()()
    task = view_of(rig).task_of("flux")
    rig.session.cancel_model_task(task.id)
    rig.tasks.run()
    assert view_of(rig).task_of("flux").state is JobState.CANCELLED
    assert listed(rig)["flux"] is ModelState.MISSING


def test_added_and_removed_models_come_and_go():
    rig = Rig()
    rig.session.add_model("/show/incoming/our-tune")
    assert listed(rig)["our-tune"] is ModelState.INSTALLED
    rig.session.remove_model("our-tune")
    assert "our-tune" not in listed(rig)


def test_tasks_that_a_restarted_backend_forgot_are_lost_and_not_followed_for_ever():
    rig = Rig(at_once=False)
    rig.session.pull_model("flux", True)
    rig.tasks.waiting.popleft()()
    rig.backend.forget_tasks()
    rig.tasks.run()
    assert view_of(rig).task_of("flux").state is JobState.LOST
    assert not rig.tasks.waiting


def test_a_backend_that_goes_away_is_said_and_its_tasks_are_lost():
    rig = Rig(at_once=False)
    rig.session.pull_model("flux", True)
    rig.tasks.waiting.popleft()()
    rig.backend.up = False
    rig.tasks.run()
    assert view_of(rig).error is not None
    assert view_of(rig).task_of("flux").state is JobState.LOST
    rig.session.dismiss_model_error()
    assert view_of(rig).error is None


def test_a_task_that_somebody_else_began_is_followed_too():
    rig = Rig()
    rig.backend.pull_model("flux", None)
    rig.session.refresh_models()
    assert listed(rig)["flux"] is ModelState.INSTALLED
