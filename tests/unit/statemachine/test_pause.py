"""An operator's hold: what it stops, what it refuses, and how it ends."""

from __future__ import annotations

from datetime import timedelta

import pytest

from statemachine import deadlines
from statemachine.commands import (
    Connect,
    ConnectionClosed,
    Deadline,
    DeadlineReached,
    PauseTenant,
    Reload,
    ResumeTenant,
    Shutdown,
)
from statemachine.errors import InvalidCommand, TenantPaused
from statemachine.events import ConnectPaused, ConnectRequested, ConnectResumed, ConnectStopped
from statemachine.machines import DatabaseHealth, Lifecycle
from statemachine.state import Pause, Stop, StopReason
from tests.support.scenario import START, given
from tests.unit.statemachine.situations import PAUSED_UNTIL, SITUATIONS

HOLD = PauseTenant("disk swap", "ada", PAUSED_UNTIL)
HELD = ConnectPaused("disk swap", "ada", PAUSED_UNTIL)


@pytest.mark.parametrize("situation", ["checking", "provisioning", "ready", "recovering"])
def test_a_pause_stops_a_live_tenant(situation: str) -> None:
    (
        SITUATIONS[situation]
        .when(HOLD)
        .then(HELD)
        .and_state(lifecycle=Lifecycle.STOPPING, pause=Pause("disk swap", "ada", PAUSED_UNTIL), reconnect=False)
        .when(ConnectionClosed())
        .then(ConnectStopped(StopReason.PAUSED, None, "disk swap"))
        .and_state(lifecycle=Lifecycle.ABSENT, database=DatabaseHealth.DOWN, recovery_until=None)
        .and_state(pause=Pause("disk swap", "ada", PAUSED_UNTIL))
    )


def test_a_pause_of_an_absent_tenant_holds_it_where_it_is() -> None:
    given().when(HOLD).then(HELD).and_state(lifecycle=Lifecycle.ABSENT, stop=None).when(Connect()).then_refused(
        TenantPaused, retry_at=PAUSED_UNTIL
    )


def test_a_pause_of_a_stopped_tenant_keeps_the_reason_of_its_stop() -> None:
    SITUATIONS["stopped"].when(HOLD).and_state(stop=Stop(StopReason.REQUESTED, None, "a shutdown was requested"))


def test_a_pause_while_stopping_becomes_the_reason_of_the_stop() -> None:
    (
        SITUATIONS["stopping"]
        .when(HOLD)
        .and_state(lifecycle=Lifecycle.STOPPING, stop=Stop(StopReason.PAUSED, None, "disk swap"))
        .when(ConnectionClosed())
        .then(HELD, ConnectStopped(StopReason.PAUSED, None, "disk swap"))
    )


def test_a_later_pause_takes_the_place_of_an_earlier_one() -> None:
    later = PAUSED_UNTIL + timedelta(hours=1)
    scenario = SITUATIONS["paused"].when(PauseTenant("longer", "bob", later))
    assert deadlines(scenario.state) == {Deadline.PAUSE: later}
    (
        scenario.then(ConnectPaused("longer", "bob", later))
        .and_state(pause=Pause("longer", "bob", later))
        .when(DeadlineReached(Deadline.PAUSE), at=PAUSED_UNTIL)
        .then_nothing()
    )


def test_a_pause_without_an_end_has_no_deadline() -> None:
    scenario = SITUATIONS["paused"].when(PauseTenant("for good", "bob"))
    assert deadlines(scenario.state) == {}
    scenario.when(Connect()).then_refused(TenantPaused, retry_at=None)


def test_resume_lifts_a_pause_and_connects_nobody() -> None:
    (
        SITUATIONS["paused"]
        .when(ResumeTenant("swapped", "ada"))
        .then(ConnectResumed("swapped", "ada"))
        .and_state(lifecycle=Lifecycle.ABSENT, pause=None, reconnect=False)
        .when(Connect())
        .then(ConnectRequested("us-east-1", "local"))
    )


def test_resume_while_stopping_lets_the_stop_finish_and_a_connect_wait_for_it() -> None:
    (
        SITUATIONS["pausing"]
        .when(ResumeTenant())
        .and_state(lifecycle=Lifecycle.STOPPING, pause=None, reconnect=False)
        .when(Connect())
        .and_state(lifecycle=Lifecycle.STOPPING, reconnect=True)
        .when(ConnectionClosed())
        .and_state(lifecycle=Lifecycle.ABSENT, reconnect=True, pause=None)
    )


def test_resume_of_a_tenant_that_is_not_paused_changes_nothing() -> None:
    SITUATIONS["ready"].when(ResumeTenant()).then_nothing()


def test_a_shutdown_of_a_paused_tenant_changes_nothing() -> None:
    SITUATIONS["paused"].when(Shutdown()).then_nothing()


@pytest.mark.parametrize("situation", ["pausing", "paused"])
def test_a_pause_runs_out_at_its_end_and_not_a_moment_before(situation: str) -> None:
    over = DeadlineReached(Deadline.PAUSE)
    (
        SITUATIONS[situation]
        .when(over, at=PAUSED_UNTIL - timedelta(microseconds=1))
        .then_nothing()
        .when(over, at=PAUSED_UNTIL)
        .then(ConnectResumed("the pause ran out", "timer"))
        .and_state(pause=None)
        .when(over, at=PAUSED_UNTIL)
        .then_nothing()
    )


def test_a_deadline_that_was_resumed_away_changes_nothing() -> None:
    SITUATIONS["paused"].given(ConnectResumed()).when(DeadlineReached(Deadline.PAUSE), at=PAUSED_UNTIL).then_nothing()


def test_an_overdue_pause_refuses_until_its_deadline_is_decided() -> None:
    overdue = PAUSED_UNTIL + timedelta(seconds=1)
    (
        SITUATIONS["paused"]
        .when(Connect(), at=overdue)
        .then_refused(TenantPaused, retry_at=PAUSED_UNTIL)
        .when(DeadlineReached(Deadline.PAUSE), at=overdue)
        .then(ConnectResumed("the pause ran out", "timer"))
        .when(Connect(), at=overdue)
        .then(ConnectRequested("us-east-1", "local"))
    )


@pytest.mark.parametrize("ago", [timedelta(0), timedelta(hours=1)])
def test_a_pause_whose_end_has_passed_is_refused_and_says_so(ago: timedelta) -> None:
    until = START - ago
    refused = given().when(PauseTenant("late", "ada", until), at=START)
    message = f"until: {until.isoformat()} has passed; give a time that is to come"
    assert refused.decisions[-1] == (InvalidCommand, message, None)


def test_a_pause_that_ends_in_a_moment_is_taken() -> None:
    until = START + timedelta(microseconds=1)
    given().when(PauseTenant("soon", "ada", until), at=START).then(ConnectPaused("soon", "ada", until))


@pytest.mark.parametrize(
    ("reason", "author", "message"),
    [
        ("disk swap", "ada", "paused by ada: disk swap"),
        ("disk swap", "", "paused by an operator: disk swap"),
        ("", "ada", "paused by ada"),
        ("", "", "paused by an operator"),
    ],
)
def test_the_refusal_says_as_much_as_the_operator_said(reason: str, author: str, message: str) -> None:
    scenario = given().when(PauseTenant(reason, author)).when(Reload())
    assert scenario.decisions[-1] == (TenantPaused, message, None)
