"""What the owner must be doing, until when, and how it explains that: for every situation."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

import pytest

from statemachine import Reaction, deadlines, reaction, why
from statemachine.commands import Deadline
from statemachine.events import ConnectPaused, ConnectResumed, ConnectStopped, DatabaseLost, DatabaseRestored
from statemachine.state import StopReason, TenantState
from tests.support.scenario import given
from tests.unit.statemachine.situations import (
    CHECKING,
    LOST,
    PAUSED,
    PAUSED_UNTIL,
    READY,
    RECOVERY_UNTIL,
    SITUATIONS,
    STOPPED_BY_PAUSE,
)

PAUSE: Final = {Deadline.PAUSE: PAUSED_UNTIL}
RECOVERY: Final = {Deadline.DATABASE_RECOVERY: RECOVERY_UNTIL}


class Expected(NamedTuple):
    """What follows from a situation. `since` and `at` are those of the explanation."""

    reaction: Reaction
    deadlines: dict[Deadline, datetime]
    code: str
    since: int | None
    at: datetime | None


EXPECTED: Final[dict[str, Expected]] = {
    "never": Expected(Reaction.REST, {}, "never_connected", None, None),
    "checking": Expected(Reaction.CHECK, {}, "checking", 1, None),
    "provisioning": Expected(Reaction.PROVISION, {}, "provisioning", 2, None),
    "ready": Expected(Reaction.HOLD, {}, "ready", 3, None),
    "recovering": Expected(Reaction.HOLD, RECOVERY, "recovering", 4, RECOVERY_UNTIL),
    "stopping": Expected(Reaction.CLOSE, {}, "stopping", 4, None),
    "reloading": Expected(Reaction.CLOSE, {}, "stopping", 4, None),
    "pausing": Expected(Reaction.CLOSE, PAUSE, "stopping", 4, None),
    "stopped": Expected(Reaction.REST, {}, "requested", 5, None),
    "returning": Expected(Reaction.RECONNECT, {}, "reconnecting", 5, None),
    "paused": Expected(Reaction.REST, PAUSE, "paused", 4, PAUSED_UNTIL),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_work_that_is_due_follows_from_the_state(situation: str) -> None:
    assert reaction(SITUATIONS[situation].state) is EXPECTED[situation].reaction


@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_deadlines_follow_from_the_state(situation: str) -> None:
    assert deadlines(SITUATIONS[situation].state) == EXPECTED[situation].deadlines


@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_explanation_names_what_holds_the_tenant_and_when_that_ends(situation: str) -> None:
    explanation = why(SITUATIONS[situation].state)
    assert (explanation.code, explanation.at) == (EXPECTED[situation].code, EXPECTED[situation].at)


def _since(state: TenantState) -> int | None:
    since = why(state).since
    return None if since is None else since.sequence


@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_explanation_names_the_event_since_which_it_is_so(situation: str) -> None:
    assert _since(SITUATIONS[situation].state) == EXPECTED[situation].since


def test_a_tenant_paused_before_its_first_connect_is_paused_since_that_event() -> None:
    assert _since(given(ConnectPaused("hold", "ada")).state) == 1


def test_a_database_lost_again_is_lost_since_the_last_time() -> None:
    state = READY.given(LOST, DatabaseRestored(), DatabaseLost(RECOVERY_UNTIL)).state
    assert _since(state) == 6


def test_every_reaction_is_called_for_somewhere() -> None:
    assert {expected.reaction for expected in EXPECTED.values()} == set(Reaction)


def test_every_deadline_is_held_somewhere() -> None:
    assert {deadline for expected in EXPECTED.values() for deadline in expected.deadlines} == set(Deadline)


@pytest.mark.parametrize("reason", [reason for reason in StopReason if reason is not StopReason.PAUSED])
def test_a_stopped_tenant_is_explained_by_its_reason_code_and_message(reason: StopReason) -> None:
    explanation = why(CHECKING.given(ConnectStopped(reason, "SomeCode", "what was tried")).state)
    assert explanation.code == reason.value
    assert explanation.what == f"{reason.value} (SomeCode): what was tried"
    assert explanation.next == "send `connect` to try again"


def test_a_stop_without_code_and_message_is_explained_by_its_reason_alone() -> None:
    assert why(CHECKING.given(ConnectStopped(StopReason.IDLE)).state).what == "idle"


@pytest.mark.parametrize(
    ("situation", "following"),
    [("stopping", "absent"), ("reloading", "it is connected again"), ("pausing", "absent")],
)
def test_a_stopping_tenant_says_whether_it_comes_back(situation: str, following: str) -> None:
    assert why(SITUATIONS[situation].state).next == following


def test_a_stopping_tenant_says_why() -> None:
    assert why(SITUATIONS["pausing"].state).what == "connections are being closed: paused: disk swap"


def test_a_pause_with_an_end_says_that_it_ends_by_itself() -> None:
    assert why(SITUATIONS["paused"].state).next == "it resumes by itself"


def test_a_pause_without_an_end_says_how_to_lift_it() -> None:
    explanation = why(given(ConnectPaused("hold", "ada")).state)
    assert (explanation.what, explanation.next) == ("paused by ada: hold", "send `resume` to lift the pause")


def test_a_pause_without_a_reason_is_explained_without_a_dangling_colon() -> None:
    assert why(given(ConnectPaused()).state).what == "paused by an operator"


def test_a_resumed_tenant_is_no_longer_explained_as_held() -> None:
    explanation = why(READY.given(PAUSED, STOPPED_BY_PAUSE, ConnectResumed()).state)
    assert (explanation.at, explanation.next) == (None, "send `connect`")


@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_explanation_is_in_words(situation: str) -> None:
    explanation = why(SITUATIONS[situation].state)
    assert explanation.what
    assert explanation.next
    assert "None" not in explanation.what + explanation.next
