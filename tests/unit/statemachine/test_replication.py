"""The stream of a tenant's rows: started, lost, put off, tried again, and given up."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import pytest

from statemachine import TenantState, deadlines, streamed
from statemachine.commands import (
    CheckPassed,
    Connect,
    ConnectionClosed,
    Deadline,
    DeadlineReached,
    GapFound,
    ProvisionDone,
    Retry,
    Shutdown,
    StreamFailed,
)
from statemachine.events import (
    ConnectRetried,
    ConnectStopped,
    ConnectStopping,
    DatabaseRestored,
    ReplicationGap,
    ReplicationLost,
    ReplicationPostponed,
)
from statemachine.limits import REPLICATION_DELAY_MAX, REPLICATION_DELAY_MIN, REPLICATION_RECOVERY_WINDOW
from statemachine.machines import DatabaseHealth, Lifecycle, Replication
from statemachine.state import EventName, ReplicationMode, StopReason, StreamStart
from tests.support.scenario import TERMS, Scenario, given
from tests.unit.statemachine.situations import (
    GAP,
    LOST,
    REPORTS,
    SITUATIONS,
    STARTED,
    STREAM_LOST,
    STREAM_UNTIL,
)

STREAMED: Final = ["starting", "streaming", "waiting", "postponed"]
MOMENT: Final = timedelta(microseconds=1)
WINDOW_OVER: Final = DeadlineReached(Deadline.REPLICATION_RECOVERY)
ATTEMPT_DUE: Final = DeadlineReached(Deadline.REPLICATION_ATTEMPT)


def _failure(chance: float = 0.5) -> StreamFailed:
    return StreamFailed("ReplicationConnectionTimeout", "no answer", "0/16B3800", "session 4711", chance)


def _delays(scenario: Scenario, *chances: float) -> list[float]:
    """How long, in seconds, each of several failures in a row puts the next attempt off."""
    found = []
    for chance in chances:
        asked = scenario.now
        scenario = scenario.when(_failure(chance))
        found.append((_attempt(scenario.state) - asked).total_seconds())
    return found


def _attempt(state: TenantState) -> datetime:
    assert state.next_attempt_at is not None
    return state.next_attempt_at


@pytest.mark.parametrize("mode", [ReplicationMode.DURABLE, ReplicationMode.TEMPORARY])
def test_streaming_is_started_as_soon_as_the_tenant_is_ready(mode: ReplicationMode) -> None:
    scenario = given().when(Connect()).when(CheckPassed(20, 5, 60, 12, mode)).and_state(mode=mode)
    assert not streamed(scenario.state)
    ready = scenario.when(ProvisionDone(0, (), 1)).and_state(replication=Replication.STARTING).and_due()
    assert streamed(ready.state)


def test_rows_that_are_not_to_be_streamed_are_not() -> None:
    scenario = given().when(Connect()).when(CheckPassed(20, 5, 60, 12)).when(ProvisionDone(0, (), 1))
    scenario.and_state(lifecycle=Lifecycle.READY, replication=Replication.OFF, mode=ReplicationMode.OFF)
    assert not streamed(scenario.state)


@pytest.mark.parametrize("report", ["stream_started", "stream_failed", "gap_found"])
@pytest.mark.parametrize("situation", ["never", "checking", "provisioning", "ready", "stopping", "stopped", "limited"])
def test_what_a_stream_says_of_a_tenant_whose_rows_are_not_streamed_changes_nothing(
    situation: str, report: str
) -> None:
    SITUATIONS[situation].when(REPORTS[report]).then_nothing()


@pytest.mark.parametrize("report", ["stream_started", "stream_failed", "gap_found"])
def test_a_stream_that_speaks_while_the_tenant_stops_is_too_late(report: str) -> None:
    SITUATIONS["streaming"].when(Shutdown()).when(REPORTS[report]).and_state(sequence=5).when(ConnectionClosed()).when(
        REPORTS[report]
    ).and_state(replication=Replication.OFF, sequence=6)


@pytest.mark.parametrize("situation", STREAMED)
def test_rows_of_a_tenant_that_stops_are_not_to_be_streamed_any_more(situation: str) -> None:
    stopping = SITUATIONS[situation].when(Shutdown())
    assert streamed(SITUATIONS[situation].state)
    assert not streamed(stopping.state)
    assert not streamed(stopping.when(ConnectionClosed()).state)


@pytest.mark.parametrize("situation", STREAMED)
def test_a_stream_that_started_closes_the_window_and_remembers_its_claim(situation: str) -> None:
    before = SITUATIONS[situation].taken_over(claim=17)
    scenario = before.when(REPORTS["stream_started"]).then(STARTED)
    scenario.and_state(
        replication=Replication.STREAMING,
        next_attempt_at=None,
        replication_until=None,
        replication_delay=None,
        stream=StreamStart(before.now, 17),
    ).and_due()


def test_after_a_takeover_a_stream_starts_again_while_the_state_says_it_runs() -> None:
    scenario = SITUATIONS["streaming"].taken_over(claim=40)
    assert streamed(scenario.state)
    scenario = scenario.when(REPORTS["stream_started"]).then(STARTED).and_state(replication=Replication.STREAMING)
    assert scenario.state.stream == StreamStart(scenario.now - timedelta(seconds=1), 40)


def test_after_a_takeover_a_stream_that_cannot_be_started_is_lost() -> None:
    scenario = SITUATIONS["streaming"].taken_over(claim=40).when(_failure())
    assert isinstance(scenario.decisions[-1], ReplicationLost)
    scenario.and_state(replication=Replication.WAITING, replication_event=EventName(5, 40))


def test_a_stream_that_breaks_waits_and_opens_the_recovery_window() -> None:
    streaming = SITUATIONS["streaming"]
    now = streaming.now
    until = now + timedelta(hours=2)
    lost = ReplicationLost(
        "ReplicationConnectionTimeout", "no answer", now + timedelta(seconds=10), until, resume_point="0/16B3800"
    )
    scenario = streaming.when(_failure(chance=0.5)).then(lost)
    scenario.and_state(lifecycle=Lifecycle.READY, replication=Replication.WAITING, replication_until=until)
    scenario.and_due(replication_attempt=now + timedelta(seconds=10), replication_recovery=until)
    assert streamed(scenario.state)


def test_a_stream_that_cannot_be_started_is_put_off_and_says_who_blocks_it() -> None:
    starting = SITUATIONS["starting"]
    attempt_at, until = starting.now + timedelta(seconds=10), starting.now + timedelta(hours=2)
    postponed = ReplicationPostponed(
        "ReplicationConnectionTimeout", "no answer", attempt_at, until, "0/16B3800", "session 4711"
    )
    starting.when(_failure()).then(postponed).and_state(replication=Replication.WAITING).and_due(
        replication_attempt=attempt_at, replication_recovery=until
    )


def test_the_recovery_window_is_two_hours() -> None:
    assert TERMS.replication_recovery_window == REPLICATION_RECOVERY_WINDOW == timedelta(hours=2)


def test_window_and_delays_are_those_of_the_settings() -> None:
    terms = TERMS._replace(
        replication_recovery_window=timedelta(minutes=3),
        replication_delay_min=timedelta(seconds=1),
        replication_delay_max=timedelta(seconds=2),
    )
    streaming = SITUATIONS["streaming"]
    streaming.when(_failure(chance=1), terms=terms).and_due(
        replication_attempt=streaming.now + timedelta(seconds=2),
        replication_recovery=streaming.now + timedelta(minutes=3),
    )


@pytest.mark.parametrize("situation", ["waiting", "postponed"])
def test_later_failures_leave_the_window_as_the_first_one_opened_it(situation: str) -> None:
    scenario = SITUATIONS[situation]
    for _ in range(20):
        scenario = scenario.after(timedelta(minutes=4)).when(_failure()).and_state(replication_until=STREAM_UNTIL)
        assert isinstance(scenario.decisions[-1], ReplicationPostponed)


def test_a_failure_after_a_success_opens_a_window_of_its_own() -> None:
    scenario = SITUATIONS["waiting"].given(STARTED).after(timedelta(hours=5))
    scenario.when(_failure()).and_state(replication_until=scenario.now + timedelta(hours=2))


def test_the_delays_grow_between_their_bounds_with_the_chance() -> None:
    assert (timedelta(seconds=5), timedelta(minutes=5)) == (REPLICATION_DELAY_MIN, REPLICATION_DELAY_MAX)
    starting = SITUATIONS["starting"]
    assert _delays(starting, 0, 0, 0) == [5, 5, 5]
    assert _delays(starting, 1, 1, 1, 1, 1) == [15, 45, 135, 300, 300]
    assert _delays(starting, 0.5, 0.5, 0.5) == [10, 20, 40]
    assert _delays(starting, 1, 1, 1, 1, 0) == [15, 45, 135, 300, 100]


def test_a_success_sets_the_delays_back() -> None:
    grown = SITUATIONS["starting"].when(_failure(1)).when(_failure(1)).when(_failure(1))
    assert _delays(grown, 0) == [100]
    assert _delays(grown.given(STARTED), 0, 1) == [5, 15]


def test_a_stop_sets_the_delays_back() -> None:
    grown = SITUATIONS["starting"].when(_failure(1)).when(_failure(1)).given(ConnectStopped(StopReason.REQUESTED))
    again = grown.when(Connect()).when(REPORTS["check_passed"]).when(REPORTS["provision_done"])
    assert _delays(again, 0) == [5]


@pytest.mark.parametrize("situation", STREAMED)
def test_an_attempt_that_is_due_is_the_owners_work_and_no_event(situation: str) -> None:
    SITUATIONS[situation].when(ATTEMPT_DUE, at=STREAM_UNTIL).then_nothing()


@pytest.mark.parametrize("situation", ["waiting", "postponed"])
def test_retry_makes_the_attempt_due_now_and_keeps_the_window_and_the_delay(situation: str) -> None:
    waiting = SITUATIONS[situation]
    (
        waiting.when(Retry("the slot is free", "ada"))
        .then(ConnectRetried("the slot is free", "ada"))
        .and_state(replication=Replication.WAITING, retried_at=waiting.now)
        .and_state(replication_delay=waiting.state.replication_delay)
        .and_due(replication_attempt=waiting.now, replication_recovery=STREAM_UNTIL)
    )


def test_retry_of_a_tenant_whose_stream_runs_changes_nothing() -> None:
    for situation in ("starting", "streaming"):
        SITUATIONS[situation].when(Retry("now", "ada")).then_nothing()


def test_retry_of_a_lost_database_tries_no_stream_that_runs() -> None:
    scenario = SITUATIONS["streaming"].given(LOST).when(Retry("now", "ada"))
    scenario.and_state(next_attempt_at=None, retried_at=scenario.now - timedelta(seconds=1))


def test_a_stream_that_stays_away_stops_the_tenant_when_its_window_ends_and_not_before() -> None:
    away = (
        StopReason.REPLICATION_RECOVERY_WINDOW_EXCEEDED,
        "ReplicationRecoveryWindowExceeded",
        f"rows could not be streamed within the recovery window, last with {STREAM_LOST.code}: {STREAM_LOST.message}",
    )
    (
        SITUATIONS["waiting"]
        .when(WINDOW_OVER, at=STREAM_UNTIL - MOMENT)
        .then_nothing()
        .when(WINDOW_OVER, at=STREAM_UNTIL)
        .then(ConnectStopping(*away))
        .and_state(lifecycle=Lifecycle.STOPPING, reconnect=False)
        .and_due()
        .when(ConnectionClosed())
        .then(ConnectStopped(*away))
        .and_state(replication=Replication.OFF, replication_until=None, next_attempt_at=None, replication_delay=None)
    )


def test_the_window_ends_at_its_end_though_the_next_attempt_is_later() -> None:
    scenario = SITUATIONS["waiting"].at(STREAM_UNTIL - timedelta(seconds=1)).when(_failure(1))
    assert deadlines(scenario.state)[Deadline.REPLICATION_ATTEMPT] > STREAM_UNTIL
    scenario.when(WINDOW_OVER, at=STREAM_UNTIL).and_state(lifecycle=Lifecycle.STOPPING)


def test_a_deadline_of_a_window_that_closed_changes_nothing() -> None:
    SITUATIONS["waiting"].given(STARTED).when(WINDOW_OVER, at=STREAM_UNTIL).then_nothing()


def test_a_shutdown_while_the_stream_waits_has_no_deadlines_and_a_stop_leaves_no_window() -> None:
    scenario = SITUATIONS["waiting"].when(Shutdown()).and_due()
    scenario.when(ConnectionClosed()).and_state(next_attempt_at=None, replication_until=None, replication_delay=None)


@pytest.mark.parametrize("situation", STREAMED)
def test_a_gap_is_told_and_remembered_and_changes_nothing_else(situation: str) -> None:
    before = SITUATIONS[situation]
    after = before.when(REPORTS["gap_found"]).then(GAP)
    assert after.state == before.state._replace(
        sequence=before.state.sequence + 1,
        hash=after.state.hash,
        gap_event=EventName(before.state.sequence + 1, before.claim),
    )


def test_every_gap_is_told() -> None:
    gaps = (GapFound(None, "0/16B3800", "another server", None), GapFound("0/16B3800", None, "too old", "inserted_at"))
    SITUATIONS["streaming"].when(gaps[0]).when(gaps[1]).then(
        ReplicationGap(None, "0/16B3800", "another server", None),
        ReplicationGap("0/16B3800", None, "too old", "inserted_at"),
    )


def test_stream_and_database_wait_beside_each_other() -> None:
    scenario = SITUATIONS["waiting"].given(LOST)
    assert set(deadlines(scenario.state)) == {
        Deadline.DATABASE_RECOVERY,
        Deadline.REPLICATION_ATTEMPT,
        Deadline.REPLICATION_RECOVERY,
    }
    scenario = scenario.when(_failure()).given(DatabaseRestored())
    scenario.and_state(database=DatabaseHealth.UP, replication=Replication.WAITING, replication_until=STREAM_UNTIL)
