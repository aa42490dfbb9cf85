"""The tenant's database: lost, back, or away for too long."""

from __future__ import annotations

from datetime import timedelta

import pytest

from statemachine import Terms, deadlines
from statemachine.commands import (
    ConnectionClosed,
    ConnectionLost,
    ConnectionRestored,
    Deadline,
    DeadlineReached,
    Retry,
    Shutdown,
)
from statemachine.events import ConnectRetried, ConnectStopped, ConnectStopping, DatabaseLost, DatabaseRestored
from statemachine.limits import DATABASE_RECOVERY_WINDOW
from statemachine.machines import DatabaseHealth, Lifecycle
from statemachine.state import Failure, StopReason
from tests.unit.statemachine.situations import LOST, PAUSED, READY, RECOVERY_UNTIL, SITUATIONS, STOPPED, STOPPING

BROKEN = ConnectionLost("DatabaseConnectionDown", "the server closed the connection")
REFUSED = ConnectionLost("UnableToConnectToTenantDatabase", "SQLSTATE 28P01: password authentication failed.")
WINDOW_OVER = DeadlineReached(Deadline.DATABASE_RECOVERY)


def test_a_lost_connection_opens_the_recovery_window() -> None:
    until = READY.now + DATABASE_RECOVERY_WINDOW
    scenario = (
        READY.when(BROKEN)
        .then(DatabaseLost(until, "DatabaseConnectionDown", "the server closed the connection"))
        .and_state(lifecycle=Lifecycle.READY, database=DatabaseHealth.RECOVERING, recovery_until=until)
    )
    assert deadlines(scenario.state) == {Deadline.DATABASE_RECOVERY: until}


def test_the_window_is_as_long_as_the_settings_say() -> None:
    terms = Terms(database_recovery_window=timedelta(seconds=7))
    READY.when(BROKEN, terms=terms).and_state(recovery_until=READY.now + timedelta(seconds=7))


def test_another_loss_does_not_lengthen_the_window() -> None:
    SITUATIONS["recovering"].when(BROKEN).then_nothing().and_state(recovery_until=RECOVERY_UNTIL)


def test_an_attempt_that_fails_otherwise_is_told_once_and_leaves_the_window_as_it_is() -> None:
    told = DatabaseLost(RECOVERY_UNTIL, REFUSED.code, REFUSED.message)
    (
        SITUATIONS["recovering"]
        .when(REFUSED)
        .then(told)
        .and_state(database=DatabaseHealth.RECOVERING, database_failure=Failure(REFUSED.code, REFUSED.message))
        .and_due(database_recovery=RECOVERY_UNTIL)
        .when(REFUSED)
        .then_nothing()
    )


def test_the_same_code_in_other_words_is_told_too() -> None:
    starting = ConnectionLost(REFUSED.code, "SQLSTATE 57P03: the database system is starting up")
    scenario = SITUATIONS["recovering"].when(REFUSED).when(starting)
    again = DatabaseLost(RECOVERY_UNTIL, starting.code, starting.message)
    scenario.then(DatabaseLost(RECOVERY_UNTIL, REFUSED.code, REFUSED.message), again)


def test_a_database_that_is_back_has_no_failure_any_more() -> None:
    for ending in ((DatabaseRestored(),), (STOPPING, STOPPED)):
        SITUATIONS["recovering"].given(*ending).and_state(database_failure=None)


def test_the_stop_at_the_end_of_the_window_says_what_stood_in_the_way_last() -> None:
    scenario = SITUATIONS["recovering"].when(REFUSED).when(WINDOW_OVER, at=RECOVERY_UNTIL)
    stop = scenario.state.stop
    assert stop is not None
    assert stop.message.endswith(
        "last with UnableToConnectToTenantDatabase: SQLSTATE 28P01: password authentication failed"
    )


def test_a_restored_connection_closes_the_window() -> None:
    scenario = (
        SITUATIONS["recovering"]
        .when(ConnectionRestored())
        .then(DatabaseRestored())
        .and_state(lifecycle=Lifecycle.READY, database=DatabaseHealth.UP, recovery_until=None)
    )
    assert deadlines(scenario.state) == {}


def test_a_deadline_of_a_window_that_closed_changes_nothing() -> None:
    SITUATIONS["recovering"].given(DatabaseRestored()).when(WINDOW_OVER, at=RECOVERY_UNTIL).then_nothing()


def test_a_deadline_of_an_earlier_window_does_not_end_a_later_one() -> None:
    later = DatabaseLost(RECOVERY_UNTIL + timedelta(minutes=5))
    scenario = SITUATIONS["recovering"].given(DatabaseRestored(), later)
    scenario.when(WINDOW_OVER, at=RECOVERY_UNTIL).then_nothing().and_state(database=DatabaseHealth.RECOVERING)


def test_a_database_that_stays_away_stops_the_tenant_when_the_window_ends_and_not_before() -> None:
    away = (
        StopReason.DATABASE_RECOVERY_WINDOW_EXCEEDED,
        "DatabaseConnectionRecoveryWindowExceeded",
        f"the database did not come back within its recovery window, last with {BROKEN.code}: {BROKEN.message}",
    )
    (
        SITUATIONS["recovering"]
        .when(WINDOW_OVER, at=RECOVERY_UNTIL - timedelta(microseconds=1))
        .then_nothing()
        .when(WINDOW_OVER, at=RECOVERY_UNTIL)
        .then(ConnectStopping(*away))
        .and_state(lifecycle=Lifecycle.STOPPING, reconnect=False)
        .when(WINDOW_OVER, at=RECOVERY_UNTIL)
        .then_nothing()
        .when(ConnectionClosed())
        .then(ConnectStopped(*away))
        .and_state(lifecycle=Lifecycle.ABSENT, database=DatabaseHealth.DOWN, recovery_until=None)
    )


def test_a_shutdown_while_the_database_is_away_closes_the_window_with_the_connection() -> None:
    scenario = SITUATIONS["recovering"].when(Shutdown()).and_state(lifecycle=Lifecycle.STOPPING)
    assert deadlines(scenario.state) == {}
    scenario.when(ConnectionClosed()).and_state(recovery_until=None, database=DatabaseHealth.DOWN)


@pytest.mark.parametrize("situation", ["checking", "provisioning", "stopping", "stopped", "never"])
def test_a_database_is_neither_lost_nor_restored_before_the_tenant_is_ready_or_after(situation: str) -> None:
    SITUATIONS[situation].when(BROKEN).when(ConnectionRestored()).then_nothing()


def test_a_database_can_be_lost_again_after_it_came_back() -> None:
    READY.given(LOST, DatabaseRestored()).when(BROKEN).and_state(database=DatabaseHealth.RECOVERING, sequence=6)


def test_nothing_of_an_old_window_is_left_in_the_next_life() -> None:
    for ending in ((STOPPING, STOPPED), (PAUSED, STOPPED)):
        READY.given(LOST, *ending).and_state(database=DatabaseHealth.DOWN, recovery_until=None)


def test_retry_tells_that_a_lost_database_is_to_be_tried_at_once_and_leaves_its_window() -> None:
    recovering = SITUATIONS["recovering"]
    (
        recovering.when(Retry("the server is back", "ada"))
        .then(ConnectRetried("the server is back", "ada"))
        .and_state(database=DatabaseHealth.RECOVERING, retried_at=recovering.now)
        .and_due(database_recovery=RECOVERY_UNTIL)
        .when(Retry("and again", "ada"), at=recovering.now + timedelta(minutes=1))
        .then(ConnectRetried("and again", "ada"))
        .and_state(retried_at=recovering.now + timedelta(minutes=1))
    )
