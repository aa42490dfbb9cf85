"""What the owner must be doing, until when, and how it explains that: for every situation."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

import pytest

from statemachine import Reaction, deadlines, reaction, streamed, why
from statemachine.commands import Deadline
from statemachine.events import (
    ConnectPaused,
    ConnectResumed,
    ConnectStopped,
    ConnectStopping,
    DatabaseLost,
    DatabaseRestored,
    PartitionsFailed,
)
from statemachine.state import StopReason, TenantState
from tests.support.scenario import given
from tests.unit.statemachine.situations import (
    ATTEMPT_AT,
    CHECKING,
    IDLE,
    LOST,
    PARTITION_FAILED,
    PAUSED,
    PAUSED_UNTIL,
    POSTPONED,
    READY,
    RECOVERY_UNTIL,
    RETRY_AT,
    SHUTDOWN_AT,
    SITUATIONS,
    STOPPED_BY_PAUSE,
    STOPPING,
    STREAM_LOST,
    STREAM_UNTIL,
    TODAY,
    TOMORROW,
)

PAUSE: Final = {Deadline.PAUSE: PAUSED_UNTIL}
RECOVERY: Final = {Deadline.DATABASE_RECOVERY: RECOVERY_UNTIL}
STREAM: Final = {Deadline.REPLICATION_ATTEMPT: ATTEMPT_AT, Deadline.REPLICATION_RECOVERY: STREAM_UNTIL}
SHUTDOWN: Final = {Deadline.IDLE_SHUTDOWN: SHUTDOWN_AT}
LIMIT: Final = {Deadline.CONNECT_LIMIT: RETRY_AT}


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
    "stopping": Expected(Reaction.CLOSE, {}, "stopping", 4, None),
    "reloading": Expected(Reaction.CLOSE, {}, "stopping", 4, None),
    "pausing": Expected(Reaction.CLOSE, PAUSE, "stopping", 4, None),
    "stopped": Expected(Reaction.REST, {}, "requested", 5, None),
    "returning": Expected(Reaction.RECONNECT, {}, "reconnecting", 5, None),
    "paused": Expected(Reaction.REST, PAUSE, "paused", 4, PAUSED_UNTIL),
    "recovering": Expected(Reaction.HOLD, RECOVERY, "recovering", 4, RECOVERY_UNTIL),
    "starting": Expected(Reaction.HOLD, {}, "starting", 3, None),
    "streaming": Expected(Reaction.HOLD, {}, "ready", 3, None),
    "waiting": Expected(Reaction.HOLD, STREAM, "replication_waiting", 5, ATTEMPT_AT),
    "postponed": Expected(Reaction.HOLD, STREAM, "replication_waiting", 4, ATTEMPT_AT),
    "used": Expected(Reaction.HOLD, {}, "ready", 3, None),
    "idle": Expected(Reaction.HOLD, SHUTDOWN, "idle", 4, SHUTDOWN_AT),
    "undated": Expected(Reaction.HOLD, {}, "partitions_failed", 4, None),
    "failing": Expected(Reaction.REST, {}, "database_unavailable", 6, None),
    "limited": Expected(Reaction.REST, LIMIT, "connect_rate_limit_reached", 7, RETRY_AT),
    "delayed": Expected(Reaction.REST, LIMIT, "connect_rate_limit_reached", 10, RETRY_AT),
}

STREAMED: Final = {"starting", "streaming", "waiting", "postponed"}
"""The situations in which rows are to be streamed."""


def test_every_situation_is_expected_to_be_explained() -> None:
    assert list(EXPECTED) == list(SITUATIONS)


@pytest.mark.parametrize("situation", SITUATIONS)
def test_whether_rows_are_to_be_streamed_follows_from_the_state(situation: str) -> None:
    assert streamed(SITUATIONS[situation].state) == (situation in STREAMED)


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


def test_a_stream_that_failed_again_is_not_streamed_since_the_last_time() -> None:
    assert _since(SITUATIONS["waiting"].given(POSTPONED).state) == 6


def test_a_second_day_without_a_partition_is_told_since_its_event() -> None:
    scenario = SITUATIONS["undated"].given(PartitionsFailed(TOMORROW, "no room"))
    assert why(scenario.state).what == f"partitions could not be made for {TODAY}, {TOMORROW}"
    assert _since(scenario.state) == 5


def test_what_is_worst_is_explained_first() -> None:
    scenario = SITUATIONS["streaming"].given(PARTITION_FAILED)
    codes = [why(scenario.state).code]
    for payload in (IDLE, STREAM_LOST, LOST, STOPPING):
        scenario = scenario.given(payload)
        codes.append(why(scenario.state).code)
    assert codes == ["partitions_failed", "idle", "replication_waiting", "recovering", "stopping"]


def test_a_ready_tenant_says_whether_its_rows_are_streamed() -> None:
    assert "streamed" in why(SITUATIONS["streaming"].state).what
    assert "streamed" not in why(SITUATIONS["ready"].state).what


def test_a_stream_that_waits_says_until_when_it_may() -> None:
    assert STREAM_UNTIL.isoformat(timespec="seconds") in why(SITUATIONS["waiting"].state).next


def test_a_limited_tenant_says_what_failed_last_and_how_to_lift_the_wait() -> None:
    explanation = why(SITUATIONS["limited"].state)
    assert "database_unavailable (UnableToConnectToTenantDatabase): refused" in explanation.what
    assert "`retry`" in explanation.next


def test_a_pause_is_explained_before_a_limit() -> None:
    assert why(SITUATIONS["limited"].given(PAUSED).state).code == "paused"


def test_a_tenant_that_was_stopped_because_it_was_idle_is_so_since_it_stopped() -> None:
    scenario = SITUATIONS["idle"].given(ConnectStopping(StopReason.IDLE), ConnectStopped(StopReason.IDLE))
    assert (why(scenario.state).code, _since(scenario.state)) == ("idle", 6)


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
