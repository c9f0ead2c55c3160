from __future__ import annotations

import pytest

from genai_fill_contract.errors import Internal
from genai_fill_contract.job import JobState
from genai_fill_server.domain.job_states import (
    FOLLOWERS,
    require_transition,
    state_after_server_death,
    state_after_worker_death,
    state_asked_to_cancel,
)


def test_every_state_has_its_rule_and_final_ones_lead_nowhere():
    assert set(FOLLOWERS) == set(JobState)
    assert {state for state in JobState if not FOLLOWERS[state]} == {
        state for state in JobState if state.is_final
    }


def test_nothing_becomes_done_but_what_ran():
    leads_to_done = {state for state, after in FOLLOWERS.items() if JobState.DONE in after}
    assert leads_to_done == {JobState.RUNNING, JobState.CANCELLING}


@pytest.mark.parametrize("before", JobState)
@pytest.mark.parametrize("after", JobState)
def test_a_transition_is_allowed_or_named(before, after):
    if after in FOLLOWERS[before]:
        require_transition("j", before, after)
    else:
        with pytest.raises(Internal, match=f"{before.value} and cannot become {after.value}"):
            require_transition("j", before, after)


@pytest.mark.parametrize("state", JobState)
def test_what_the_rules_answer_may_be_done(state):
    for answer in (
        state_asked_to_cancel(state),
        state_after_server_death(state),
    ):
        assert answer is state or answer in FOLLOWERS[state]


@pytest.mark.parametrize(
    ("state", "deaths", "after"),
    [
        (JobState.RUNNING, 1, JobState.QUEUED),
        (JobState.RUNNING, 2, JobState.FAILED),
        (JobState.CANCELLING, 1, JobState.CANCELLED),
        (JobState.CANCELLING, 2, JobState.CANCELLED),
        (JobState.QUEUED, 1, JobState.QUEUED),
        (JobState.QUEUED, 2, JobState.QUEUED),
        (JobState.DONE, 1, JobState.DONE),
        (JobState.FAILED, 2, JobState.FAILED),
        (JobState.CANCELLED, 1, JobState.CANCELLED),
        (JobState.LOST, 1, JobState.LOST),
    ],
)
def test_a_job_is_tried_twice_and_a_cancelled_one_not_again(state, deaths, after):
    assert state_after_worker_death(state, deaths) is after
