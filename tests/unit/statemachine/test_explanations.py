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
    ReplicationPostponed,
)
from statemachine.state import StopReason, TenantState
from statemachine.why import CODES
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

NOT_WANTED: Final = {
    StopReason.SUSPENDED: "`tenants resume`",
    StopReason.TENANT_NOT_FOUND: "`tenants put`",
    StopReason.REMOVED: "`tenants put`",
    StopReason.REBALANCING: "another region",
}
"""Stops that the catalog asked for, and what comes first before they are connected again."""

NEXT: Final = {
    **NOT_WANTED,
    StopReason.TOO_MANY_CONNECTIONS: "raise max_connections",
    StopReason.DATABASE_UNAVAILABLE: "mend what the message names",
    StopReason.POOLED_ENDPOINT: "mend what the message names",
    StopReason.MIGRATIONS_FAILED: "mend what the message names",
    StopReason.DATABASE_RECOVERY_WINDOW_EXCEEDED: "mend what the message names",
    StopReason.REPLICATION_RECOVERY_WINDOW_EXCEEDED: "mend what the message names",
}
"""What each stop says of the next step, besides asking for a connection."""

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
    explanation = why(SITUATIONS["waiting"].state)
    assert f"{STREAM_UNTIL:%Y-%m-%d %H:%M:%SZ}" in explanation.next
    assert explanation.at == ATTEMPT_AT


def test_a_stream_that_waits_says_code_and_words_of_what_failed_last() -> None:
    broken = why(SITUATIONS["waiting"].state).what
    assert broken == "rows are not streamed: ReplicationConnectionDown: the server closed the stream"
    blocked = why(SITUATIONS["postponed"].state).what
    assert blocked.endswith("ReplicationMaxWalSendersReached: no sender is free; blocked by session 4711")


def test_a_blocker_that_the_words_name_is_not_named_twice() -> None:
    waited = ReplicationPostponed("Code", "It waited for session 4711.", ATTEMPT_AT, STREAM_UNTIL, None, "session 4711")
    what = why(SITUATIONS["starting"].given(waited).state).what
    assert what == "rows are not streamed: Code: It waited for session 4711"


def test_a_recovering_database_says_code_and_words_of_what_failed_last() -> None:
    scenario = SITUATIONS["recovering"]
    lost = "the connection to the database was lost and is not back"
    assert why(scenario.state).what == f"{lost}: DatabaseConnectionDown: the server closed the connection"
    refused = DatabaseLost(RECOVERY_UNTIL, "UnableToConnectToTenantDatabase", "SQLSTATE 28P01: no such password.")
    assert why(scenario.given(refused).state).what == (
        f"{lost}: UnableToConnectToTenantDatabase: SQLSTATE 28P01: no such password"
    )
    assert why(READY.given(DatabaseLost(RECOVERY_UNTIL)).state).what == f"{lost}: no reason is known"


def test_a_stream_that_is_being_started_says_that_its_slot_waits_for_open_transactions() -> None:
    assert "waits for every transaction that is open" in why(SITUATIONS["starting"].state).next


def test_an_idle_tenant_says_that_its_stream_is_still_being_started() -> None:
    assert why(SITUATIONS["starting"].given(IDLE).state).what.endswith("its stream is being started")
    assert why(SITUATIONS["idle"].state).what == "nobody uses the tenant"


def test_a_limited_tenant_says_what_failed_last_and_how_to_lift_the_wait() -> None:
    explanation = why(SITUATIONS["limited"].state)
    assert "database_unavailable (UnableToConnectToTenantDatabase): refused" in explanation.what
    assert "`retry`" in explanation.next


def test_a_pause_is_explained_before_a_limit() -> None:
    assert why(SITUATIONS["limited"].given(PAUSED).state).code == "paused"


def test_a_tenant_that_was_stopped_because_it_was_idle_is_so_since_it_stopped() -> None:
    scenario = SITUATIONS["idle"].given(ConnectStopping(StopReason.IDLE), ConnectStopped(StopReason.IDLE))
    assert (why(scenario.state).code, _since(scenario.state)) == ("idle", 6)


def test_every_code_is_listed_and_every_listed_one_is_used() -> None:
    resumed = why(READY.given(PAUSED, STOPPED_BY_PAUSE, ConnectResumed()).state).code
    used = {resumed, *(expected.code for expected in EXPECTED.values())}
    assert set(CODES) - set(StopReason) == used - set(StopReason)
    assert len(CODES) == len(set(CODES))


def test_every_reaction_is_called_for_somewhere() -> None:
    assert {expected.reaction for expected in EXPECTED.values()} == set(Reaction)


def test_every_deadline_is_held_somewhere() -> None:
    assert {deadline for expected in EXPECTED.values() for deadline in expected.deadlines} == set(Deadline)


@pytest.mark.parametrize("reason", [reason for reason in StopReason if reason is not StopReason.PAUSED])
def test_a_stopped_tenant_is_explained_by_its_reason_code_and_message(reason: StopReason) -> None:
    explanation = why(CHECKING.given(ConnectStopped(reason, "SomeCode", "what was tried")).state)
    assert explanation.code == reason.value
    assert explanation.what == f"{reason.value} (SomeCode): what was tried"
    assert NEXT.get(reason, "send `connect`") in explanation.next


@pytest.mark.parametrize("reason", NOT_WANTED)
def test_what_the_catalog_does_not_want_is_not_connected_by_its_users(reason: StopReason) -> None:
    state = CHECKING.given(ConnectStopped(reason)).state
    assert why(state, 3) == why(state)


@pytest.mark.parametrize("reason", [reason for reason in StopReason if reason not in NOT_WANTED])
def test_a_tenant_that_is_used_says_that_it_is_connected_by_itself(reason: StopReason) -> None:
    state = CHECKING.given(ConnectStopped(reason)).state
    by_itself = "it is connected by itself within `RECONNECT_INTERVAL_MS`; to have it sooner, "
    assert why(state, 3).next.startswith(f"3 users need it: {by_itself}")
    assert why(state, 1).next.startswith(f"1 user needs it: {by_itself}")
    assert "by itself" not in why(state, 0).next + why(state).next


def test_a_tenant_that_was_never_connected_or_is_resumed_is_connected_for_its_users() -> None:
    for state in (given().state, READY.given(PAUSED, STOPPED_BY_PAUSE, ConnectResumed()).state):
        assert "by itself" in why(state, 2).next


def test_what_the_catalog_says_now_is_said_though_no_event_says_it() -> None:
    suspended = why(SITUATIONS["stopped"].state, 3, StopReason.SUSPENDED)
    assert (suspended.code, suspended.next) == ("suspended", why(_stopped_by(StopReason.SUSPENDED)).next)
    assert suspended.what.startswith("the tenant is suspended; it was stopped before: requested")
    unknown = why(given().state, 0, StopReason.REMOVED)
    assert (unknown.code, unknown.what, unknown.since) == ("tenant_not_found", "the catalog has no such tenant", None)
    assert "`tenants put`" in unknown.next


def test_what_an_event_said_already_is_not_said_twice() -> None:
    for reason in NOT_WANTED:
        assert why(_stopped_by(reason), 0, reason) == why(_stopped_by(reason))
    unknown = _stopped_by(StopReason.TENANT_NOT_FOUND)
    assert why(unknown, 0, StopReason.REMOVED) == why(unknown)


def test_a_pause_and_a_live_connection_are_explained_whatever_the_catalog_says_now() -> None:
    for situation in ("paused", "ready", "stopping"):
        assert why(SITUATIONS[situation].state, 0, StopReason.SUSPENDED) == why(SITUATIONS[situation].state)


def _stopped_by(reason: StopReason) -> TenantState:
    return CHECKING.given(ConnectStopped(reason)).state


def test_a_tenant_that_is_held_is_not_connected_by_its_users() -> None:
    for situation in ("limited", "returning"):
        assert why(SITUATIONS[situation].state, 2) == why(SITUATIONS[situation].state)
    assert "connected by itself" not in why(SITUATIONS["paused"].state, 2).next


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
