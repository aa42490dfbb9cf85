"""Who uses a tenant: the first user, the last one, and what becomes of a tenant that nobody uses."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import pytest

from statemachine import Terms
from statemachine.commands import (
    Connect,
    ConnectionClosed,
    Deadline,
    DeadlineReached,
    Reload,
    Shutdown,
    UsersCounted,
)
from statemachine.events import ConnectStopped, ConnectStopping, OccupancyIdle, OccupancyUsed
from statemachine.limits import IDLE_GRACE, IDLE_WINDOW
from statemachine.machines import Lifecycle, Occupancy
from statemachine.state import Stop, StopReason
from tests.support.scenario import TERMS, Scenario
from tests.unit.statemachine.situations import READY, REPORTS, SHUTDOWN_AT, SITUATIONS, STREAMING

MINUTE: Final = timedelta(minutes=1)
WINDOW: Final = 11 * MINUTE
MOMENT: Final = timedelta(microseconds=1)
OVER: Final = DeadlineReached(Deadline.IDLE_SHUTDOWN)
NOBODY: Final = UsersCounted(0, None)
"""Nobody, and no gateway ever said anything."""

assert READY.state.since is not None
SINCE: Final[datetime] = READY.state.since
"""When the tenant became ready."""


def _left(at: datetime) -> UsersCounted:
    return UsersCounted(0, at)


def test_a_tenant_is_idle_after_eleven_minutes_and_kept_for_one_more() -> None:
    assert (IDLE_WINDOW, IDLE_GRACE) == (WINDOW, MINUTE)
    assert (Terms().idle_window, Terms().idle_grace) == (WINDOW, MINUTE)


def test_whether_a_tenant_is_used_is_not_known_before_somebody_counts() -> None:
    READY.and_state(occupancy=Occupancy.UNKNOWN, users=0, occupancy_since=None).and_due()


def test_a_tenant_that_nobody_ever_used_is_idle_eleven_minutes_after_it_was_ready_and_not_before() -> None:
    READY.when(NOBODY, at=SINCE + WINDOW - MOMENT).then_nothing()
    (
        READY.when(NOBODY, at=SINCE + WINDOW)
        .then(OccupancyIdle(SINCE + 12 * MINUTE))
        .and_state(lifecycle=Lifecycle.READY, occupancy=Occupancy.IDLE, users=0, occupancy_since=SINCE + WINDOW)
        .and_due(idle_shutdown=SINCE + 12 * MINUTE)
    )


@pytest.mark.parametrize("late", [timedelta(0), MOMENT, timedelta(seconds=59), MINUTE, timedelta(hours=3)])
@pytest.mark.parametrize("claim", [0, 99])
@pytest.mark.parametrize("empty_since", [None, SINCE - timedelta(hours=1), SINCE])
def test_an_unused_tenant_is_stopped_at_the_same_time_whoever_counts_and_whenever(
    late: timedelta, claim: int, empty_since: datetime | None
) -> None:
    counted = READY.taken_over(claim).when(UsersCounted(0, empty_since), at=SINCE + WINDOW + late)
    counted.and_due(idle_shutdown=SINCE + 12 * MINUTE)


def test_counting_before_the_window_is_over_changes_no_deadline() -> None:
    scenario = READY
    for minute in range(11):
        scenario = scenario.when(NOBODY, at=SINCE + minute * MINUTE)
    scenario.then_nothing().when(NOBODY, at=SINCE + WINDOW).and_state(shutdown_at=SINCE + 12 * MINUTE)


def test_the_first_user_is_told_and_further_ones_are_not() -> None:
    (
        READY.when(UsersCounted(3, None))
        .then(OccupancyUsed(3))
        .and_state(lifecycle=Lifecycle.READY, occupancy=Occupancy.USED, users=3, occupancy_since=READY.now)
        .and_due()
        .when(UsersCounted(4, None))
        .when(UsersCounted(1, None))
        .then_nothing()
        .and_state(users=3)
    )


def test_a_tenant_is_idle_eleven_minutes_after_its_last_user_left_whenever_that_is_counted() -> None:
    left = SINCE + timedelta(hours=5, seconds=17)
    used = SITUATIONS["used"]
    used.when(_left(left), at=left).then_nothing().and_state(occupancy=Occupancy.USED)
    used.when(_left(left), at=left + WINDOW - MOMENT).then_nothing()
    used.when(_left(left), at=left + WINDOW).then(OccupancyIdle(left + 12 * MINUTE))
    used.when(_left(left), at=left + WINDOW + 40 * MINUTE).then(OccupancyIdle(left + 12 * MINUTE))


def test_users_who_left_before_the_tenant_was_ready_do_not_shorten_its_first_window() -> None:
    long_ago = SINCE - timedelta(hours=2)
    READY.when(_left(long_ago), at=SINCE).then_nothing()
    READY.when(_left(long_ago), at=SINCE + WINDOW).then(OccupancyIdle(SINCE + 12 * MINUTE))


def test_users_who_left_before_the_last_one_was_told_of_do_not_shorten_the_window() -> None:
    used = SITUATIONS["used"]
    told = used.state.occupancy_since
    assert told is not None
    used.when(_left(SINCE), at=told + WINDOW - MOMENT).then_nothing()
    used.when(_left(SINCE), at=told + WINDOW).then(OccupancyIdle(told + 12 * MINUTE))


def test_an_idle_tenant_is_told_of_once() -> None:
    SITUATIONS["idle"].when(NOBODY, at=SHUTDOWN_AT).then_nothing().and_due(idle_shutdown=SHUTDOWN_AT)


def test_window_and_grace_are_those_of_the_settings() -> None:
    terms = TERMS._replace(idle_window=timedelta(seconds=20), idle_grace=timedelta(seconds=3))
    READY.when(NOBODY, at=SINCE + timedelta(seconds=19), terms=terms).then_nothing()
    READY.when(NOBODY, at=SINCE + timedelta(seconds=20), terms=terms).and_due(
        idle_shutdown=SINCE + timedelta(seconds=23)
    )


def test_an_idle_tenant_is_stopped_at_its_deadline_and_not_a_moment_before() -> None:
    (
        SITUATIONS["idle"]
        .when(OVER, at=SHUTDOWN_AT - MOMENT)
        .then_nothing()
        .when(OVER, at=SHUTDOWN_AT)
        .then(ConnectStopping(StopReason.IDLE, None, "nobody used the tenant"))
        .and_state(lifecycle=Lifecycle.STOPPING, reconnect=False)
        .and_due()
        .when(ConnectionClosed())
        .then(ConnectStopped(StopReason.IDLE, None, "nobody used the tenant"))
        .and_state(occupancy=Occupancy.UNKNOWN, shutdown_at=None, occupancy_since=None, users=0)
    )


@pytest.mark.parametrize("before", [timedelta(seconds=30), MOMENT, timedelta(0)])
def test_a_user_who_comes_back_before_the_shutdown_is_due_cancels_it(before: timedelta) -> None:
    (
        SITUATIONS["idle"]
        .when(UsersCounted(1, None), at=SHUTDOWN_AT - before)
        .then(OccupancyUsed(1))
        .and_state(occupancy=Occupancy.USED, shutdown_at=None)
        .and_due()
        .when(OVER, at=SHUTDOWN_AT)
        .then_nothing()
        .and_state(lifecycle=Lifecycle.READY)
    )


def test_a_user_who_is_there_when_the_shutdown_is_due_cancels_it_though_nobody_told() -> None:
    (
        SITUATIONS["idle"]
        .when(OVER, at=SHUTDOWN_AT, terms=TERMS._replace(users=2))
        .then(OccupancyUsed(2))
        .and_state(lifecycle=Lifecycle.READY, occupancy=Occupancy.USED, users=2)
        .and_due()
    )


def test_a_user_who_comes_while_the_tenant_stops_does_not_stop_the_stop_and_may_connect_again() -> None:
    stopping = SITUATIONS["idle"].when(OVER, at=SHUTDOWN_AT)
    stopping.when(UsersCounted(1, None)).and_state(lifecycle=Lifecycle.STOPPING).when(Connect()).and_state(
        reconnect=True, stop=Stop(StopReason.IDLE, None, "nobody used the tenant")
    )


def test_a_user_who_came_and_left_begins_the_window_anew() -> None:
    came = SHUTDOWN_AT - timedelta(seconds=10)
    left = came + timedelta(seconds=5)
    scenario = SITUATIONS["idle"].when(UsersCounted(1, None), at=came).then(OccupancyUsed(1))
    scenario.when(_left(left), at=left + WINDOW - MOMENT).then_nothing()
    scenario.when(_left(left), at=left + WINDOW).then(OccupancyIdle(left + 12 * MINUTE))


def test_while_it_is_not_known_who_uses_a_tenant_its_shutdown_is_not_decided() -> None:
    unknown = TERMS._replace(users=None)
    undecided = SITUATIONS["idle"].when(OVER, at=SHUTDOWN_AT + 5 * MINUTE, terms=unknown).then_nothing()
    undecided.and_due(idle_shutdown=SHUTDOWN_AT)
    undecided.when(OVER, at=SHUTDOWN_AT + 5 * MINUTE).and_state(lifecycle=Lifecycle.STOPPING)


@pytest.mark.parametrize(
    "situation", ["never", "checking", "provisioning", "stopping", "pausing", "stopped", "paused", "limited"]
)
@pytest.mark.parametrize("report", ["somebody_came", "nobody_came", "idle_over"])
def test_the_users_of_a_tenant_that_is_not_ready_change_nothing(situation: str, report: str) -> None:
    SITUATIONS[situation].when(REPORTS[report], at=SHUTDOWN_AT).then_nothing()


@pytest.mark.parametrize("asked", [Shutdown(), Reload()], ids=lambda asked: asked.type)
def test_the_next_life_begins_unknown(asked: Shutdown | Reload) -> None:
    scenario: Scenario = SITUATIONS["used"].when(asked).when(ConnectionClosed())
    scenario = scenario.when(Connect()).when(REPORTS["check_passed"]).when(REPORTS["provision_done"])
    scenario.and_state(lifecycle=Lifecycle.READY, occupancy=Occupancy.UNKNOWN, users=0, shutdown_at=None)
    ready = scenario.state.since
    assert ready is not None
    scenario.when(NOBODY, at=ready + WINDOW).and_state(shutdown_at=ready + 12 * MINUTE)


def test_use_and_stream_are_counted_beside_each_other() -> None:
    scenario = STREAMING.when(UsersCounted(1, None)).when(REPORTS["stream_failed"])
    scenario.when(NOBODY, at=SHUTDOWN_AT + timedelta(hours=1)).and_state(
        occupancy=Occupancy.IDLE, replication=scenario.state.replication
    )
