"""Connecting failed too often: what counts, when nothing more is tried, and what lifts that."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import pytest

from statemachine import Reaction, Terms, reaction
from statemachine.commands import (
    Connect,
    ConnectionClosed,
    Deadline,
    DeadlineReached,
    EffectFailed,
    FailuresWeighed,
    PauseTenant,
    ReconnectWanted,
    Reload,
    Retry,
    SettingsChanged,
    Shutdown,
    Wait,
)
from statemachine.connect_limit import CONNECT_FAILURES, counts
from statemachine.errors import ConnectRateLimitReached, TenantPaused
from statemachine.events import (
    ConnectChecked,
    ConnectPaused,
    ConnectRequested,
    ConnectStopped,
    LimitCleared,
    LimitReached,
)
from statemachine.limits import CONNECT_FAILURES_MAX, CONNECT_FAILURES_WINDOW
from statemachine.machines import Lifecycle
from statemachine.state import StopReason
from streams.errors import CatalogUnreadable, CredentialsUnreadable, KafkaUnreachable, RuntimeFailure
from streams.tenantdb.failure import OperationalCode, Reason
from tests.support.scenario import START, TERMS, Scenario, given
from tests.unit.statemachine.situations import (
    CHECKED,
    FAILED,
    PROVISIONED,
    REPORTS,
    REQUESTED,
    RETRY_AT,
    SITUATIONS,
    STOPPED,
    STOPPING,
)

WINDOW: Final = timedelta(seconds=5)
MOMENT: Final = timedelta(microseconds=1)
LIMIT_OVER: Final = DeadlineReached(Deadline.CONNECT_LIMIT)


def _failed(*seconds: float, payload: ConnectStopped = FAILED) -> Scenario:
    """A tenant whose connects failed at these times; it is the time of the last one."""
    scenario = given()
    for second in seconds:
        at = START + timedelta(seconds=second)
        scenario = scenario.at(at).given(REQUESTED).at(at).given(payload).at(at)
    return scenario


def _weighed(*seconds: float) -> Scenario:
    return _failed(*seconds).when(FailuresWeighed())


def test_the_limit_is_three_failures_within_five_seconds() -> None:
    assert (CONNECT_FAILURES_MAX, CONNECT_FAILURES_WINDOW) == (3, WINDOW)
    assert (Terms().failures_max, Terms().failures_window) == (3, WINDOW)


@pytest.mark.parametrize("error", [KafkaUnreachable, CatalogUnreadable, CredentialsUnreadable])
@pytest.mark.parametrize("before", [(), (CHECKED,)], ids=["checking", "provisioning"])
def test_a_connect_that_did_not_come_as_far_as_the_database_does_not_count(
    error: type[RuntimeFailure], before: tuple[ConnectChecked, ...]
) -> None:
    failed = EffectFailed(StopReason.DATABASE_UNAVAILABLE, error.code, error.meaning)
    scenario = given()
    for _ in range(CONNECT_FAILURES_MAX):
        scenario = scenario.given(REQUESTED, *before).when(failed)
    scenario.and_state(failures=(), lifecycle=Lifecycle.ABSENT)
    assert scenario.when(FailuresWeighed()).decisions[-1] is None


def test_every_failure_of_a_database_counts() -> None:
    assert all(counts(StopReason(reason), code) for reason in Reason for code in OperationalCode)


@pytest.mark.parametrize("seconds", [(0, 1, 2), (0, 0, 0), (0, 4.9, 4.99)])
def test_three_failures_within_the_window_are_too_many_until_the_first_is_as_old_as_the_window(
    seconds: Sequence[float],
) -> None:
    _weighed(*seconds).then(LimitReached(START + WINDOW)).and_state(
        lifecycle=Lifecycle.ABSENT, retry_at=START + WINDOW
    ).and_due(connect_limit=START + WINDOW)


@pytest.mark.parametrize("seconds", [(), (0,), (0, 1), (0, 0)])
def test_fewer_failures_are_not_too_many(seconds: Sequence[float]) -> None:
    _weighed(*seconds).then_nothing().and_state(retry_at=None)


@pytest.mark.parametrize("seconds", [(0, 1, 5), (0, 3, 6), (0, 100, 200), (0, 1, 3600, 3601)])
def test_failures_over_a_longer_time_are_not_too_many(seconds: Sequence[float]) -> None:
    _weighed(*seconds).then_nothing().and_state(retry_at=None)


def test_failures_over_a_longer_time_are_not_too_many_for_an_owner_whose_clock_is_behind_either() -> None:
    _failed(0, 1, 6).when(FailuresWeighed(), at=START + timedelta(seconds=2)).then_nothing()


def test_only_the_last_failures_are_weighed() -> None:
    _weighed(0, 60, 61, 62).then(LimitReached(START + timedelta(seconds=60) + WINDOW))


def test_failures_that_are_weighed_late_are_too_many_as_long_as_the_wait_would_last() -> None:
    failed = _failed(0, 1, 2)
    failed.when(FailuresWeighed(), at=START + WINDOW - MOMENT).then(LimitReached(START + WINDOW))
    failed.when(FailuresWeighed(), at=START + WINDOW).then_nothing()


def test_limit_and_window_are_those_of_the_settings() -> None:
    terms = TERMS._replace(failures_max=2, failures_window=timedelta(seconds=30))
    _failed(0, 29).when(FailuresWeighed(), terms=terms).then(LimitReached(START + timedelta(seconds=30)))
    _failed(0, 31).when(FailuresWeighed(), terms=terms).then_nothing()
    once = TERMS._replace(failures_max=1)
    _failed(0).when(FailuresWeighed(), terms=once).then(LimitReached(START + WINDOW))


def test_failures_are_weighed_once() -> None:
    _weighed(0, 1, 2).then(LimitReached(START + WINDOW)).when(FailuresWeighed(), at=START).then_nothing()


def test_failures_are_not_weighed_while_a_connect_is_under_way() -> None:
    _failed(0, 1, 2).given(REQUESTED).when(FailuresWeighed(), at=START).then_nothing()


def test_a_success_forgets_the_failures_before_it() -> None:
    failed = _failed(0, 1)
    again = failed.given(REQUESTED, CHECKED).and_state(failures=failed.state.failures)
    again.given(PROVISIONED).and_state(failures=())


def test_a_check_that_passed_is_no_success_yet() -> None:
    scenario = _failed(0, 1).given(REQUESTED, CHECKED).at(START + timedelta(seconds=3))
    scenario.when(REPORTS["effect_failed"]).and_state(lifecycle=Lifecycle.ABSENT).when(
        FailuresWeighed(), at=START + timedelta(seconds=3)
    ).then(FAILED, LimitReached(START + WINDOW))


@pytest.mark.parametrize("reason", StopReason)
def test_a_connect_that_failed_at_the_database_counts_and_a_tenant_that_may_not_connect_has_not_failed(
    reason: StopReason,
) -> None:
    counts = reason in {
        StopReason.DATABASE_UNAVAILABLE,
        StopReason.TOO_MANY_CONNECTIONS,
        StopReason.POOLED_ENDPOINT,
        StopReason.MIGRATIONS_FAILED,
    }
    assert (reason in CONNECT_FAILURES) == counts
    for before in ((), (CHECKED,)):
        scenario = given(REQUESTED, *before).when(EffectFailed(reason, None, "what was tried"))
        assert len(scenario.state.failures) == counts
    weighed = _failed(0, 1, 2, payload=ConnectStopped(reason)).when(FailuresWeighed())
    assert (weighed.state.retry_at is not None) == counts


def test_a_connection_that_is_given_up_has_not_failed() -> None:
    for payloads in ((STOPPING, STOPPED), (STOPPING, FAILED)):
        given(REQUESTED, *payloads).and_state(failures=())
    given(REQUESTED, CHECKED, PROVISIONED, STOPPING, FAILED).and_state(failures=())


@pytest.mark.parametrize(
    "asked", [Connect(), Connect(wait=Wait.NO), Connect(wait=Wait.STREAMING), Reload()], ids=lambda asked: asked.type
)
def test_a_connect_while_limited_is_refused_with_the_time_to_ask_again_and_leaves_no_event(
    asked: Connect | Reload,
) -> None:
    limited = SITUATIONS["limited"]
    refused = limited.when(asked, at=START).then_refused(ConnectRateLimitReached, retry_at=RETRY_AT)
    assert refused.state is limited.state


def test_a_limited_tenant_that_is_paused_is_refused_as_paused() -> None:
    paused = SITUATIONS["limited"].when(PauseTenant("hold", "ada")).then(ConnectPaused("hold", "ada"))
    paused.and_state(retry_at=RETRY_AT).when(Connect()).then_refused(TenantPaused)


def test_a_failure_of_a_paused_tenant_counts_too() -> None:
    failed = _failed(0, 1, 2)
    held = failed.given(ConnectPaused("hold", "ada")).when(FailuresWeighed(), at=START + timedelta(seconds=3))
    held.then(LimitReached(START + WINDOW))


def test_the_limit_is_lifted_at_its_time_and_not_a_moment_before() -> None:
    (
        SITUATIONS["limited"]
        .when(LIMIT_OVER, at=RETRY_AT - MOMENT)
        .then_nothing()
        .when(LIMIT_OVER, at=RETRY_AT)
        .then(LimitCleared("the wait is over", "timer"))
        .and_state(retry_at=None, failures=())
        .and_due()
        .when(LIMIT_OVER, at=RETRY_AT)
        .then_nothing()
        .when(Connect(), at=RETRY_AT)
        .then(ConnectRequested("us-east-1", "local"))
    )


def test_a_limit_refuses_until_its_deadline_is_decided() -> None:
    overdue = RETRY_AT + timedelta(minutes=1)
    SITUATIONS["limited"].when(Connect(), at=overdue).then_refused(ConnectRateLimitReached, retry_at=RETRY_AT)


def test_an_operator_lifts_the_limit_and_says_who_and_why() -> None:
    (
        SITUATIONS["limited"]
        .when(Retry("the database is back", "ada"), at=START)
        .then(LimitCleared("the database is back", "ada"))
        .and_state(lifecycle=Lifecycle.ABSENT, retry_at=None, failures=())
        .when(Retry("the database is back", "ada"), at=START)
        .then_nothing()
        .when(Connect(), at=START)
        .then(ConnectRequested("us-east-1", "local"))
    )


def test_other_settings_lift_the_limit() -> None:
    (
        SITUATIONS["limited"]
        .when(SettingsChanged(), at=START)
        .then(LimitCleared("the settings changed", "catalog"))
        .and_state(retry_at=None, failures=())
        .when(SettingsChanged(), at=START)
        .then_nothing()
    )


def test_after_a_lifted_limit_it_takes_as_many_failures_again() -> None:
    lifted = SITUATIONS["limited"].given(LimitCleared())
    scenario = lifted.given(REQUESTED, FAILED, REQUESTED, FAILED)
    again = scenario.when(FailuresWeighed()).then_nothing().given(REQUESTED, FAILED)
    first = lifted.now + timedelta(seconds=1)
    again.when(FailuresWeighed(), at=again.now - timedelta(seconds=1)).then(LimitReached(first + WINDOW))


def test_a_deadline_of_a_limit_that_was_lifted_changes_nothing() -> None:
    SITUATIONS["limited"].given(LimitCleared()).when(LIMIT_OVER, at=RETRY_AT).then_nothing()


def test_a_reload_that_is_to_connect_again_waits_for_the_limit() -> None:
    scenario = _failed(0, 1, 2).when(Connect()).when(Reload()).when(ConnectionClosed(), at=START + timedelta(seconds=3))
    assert reaction(scenario.state) is Reaction.RECONNECT
    limited = scenario.when(FailuresWeighed(), at=START + timedelta(seconds=4))
    limited.and_state(lifecycle=Lifecycle.ABSENT, reconnect=True, retry_at=START + WINDOW)
    assert reaction(limited.state) is Reaction.REST
    assert limited.when(ReconnectWanted()).decisions[-1] is None
    lifted = limited.when(LIMIT_OVER, at=START + WINDOW)
    assert reaction(lifted.state) is Reaction.RECONNECT
    lifted.when(ReconnectWanted()).and_state(lifecycle=Lifecycle.CHECKING, reconnect=False)


@pytest.mark.parametrize("lifting", [Retry("mended", "ada"), SettingsChanged(), LIMIT_OVER])
def test_whatever_lifts_the_limit_lets_the_reload_go_on(lifting: Retry | SettingsChanged | DeadlineReached) -> None:
    scenario = SITUATIONS["delayed"].when(lifting).and_state(reconnect=True, retry_at=None)
    assert reaction(scenario.state) is Reaction.RECONNECT


def test_a_shutdown_calls_off_a_reload_that_waits_for_the_limit_and_keeps_the_limit() -> None:
    scenario = SITUATIONS["delayed"].when(Shutdown()).and_state(reconnect=False, retry_at=RETRY_AT)
    lifted = scenario.when(LIMIT_OVER)
    assert reaction(lifted.state) is Reaction.REST


def test_three_connects_fail_at_the_database_and_the_fourth_is_not_tried() -> None:
    scenario = given()
    for second in range(3):
        at = START + timedelta(seconds=second)
        scenario = scenario.when(Connect(), at=at).when(REPORTS["check_passed"], at=at)
        assert isinstance(scenario.decisions[-1], ConnectChecked)
        scenario = scenario.when(REPORTS["effect_failed"], at=at)
    scenario.when(FailuresWeighed(), at=START + timedelta(seconds=2)).when(
        Connect(), at=START + timedelta(seconds=2)
    ).then_refused(ConnectRateLimitReached, retry_at=START + WINDOW)
