"""The life of a connection, told from request to stop."""

from __future__ import annotations

from typing import Final

import pytest

from statemachine import Answer, Reaction, Terms, answer, reaction
from statemachine.commands import (
    CheckPassed,
    Connect,
    ConnectionClosed,
    EffectFailed,
    MigrationsDone,
    PauseTenant,
    ProvisionDone,
    ReconnectWanted,
    Reload,
    Retry,
    Shutdown,
)
from statemachine.events import (
    ConnectChecked,
    ConnectPaused,
    ConnectProvisioned,
    ConnectRequested,
    ConnectStopped,
    ConnectStopping,
    MigrationsFinished,
)
from statemachine.machines import DatabaseHealth, Lifecycle
from statemachine.state import EventName, Stop, StopReason
from tests.support.scenario import CLAIM, given
from tests.unit.statemachine.situations import (
    CHECKED,
    CHECKING,
    LIFE,
    LOST,
    PROVISIONED,
    PROVISIONING,
    READY,
    RELOADING,
    REPORTS,
    REQUESTED,
    SITUATIONS,
    STOPPED,
    STOPPING,
)

WELCOME: Final = {"migrations_done", "partition_failed"}
"""What is told of a tenant that has no connection."""


def test_a_tenant_nobody_asked_for_is_absent() -> None:
    given().and_state(lifecycle=Lifecycle.ABSENT, database=DatabaseHealth.DOWN, sequence=0, since=None, stop=None)


def test_a_connection_is_requested_checked_and_provisioned() -> None:
    (
        given()
        .when(Connect(requested_by="api"))
        .when(CheckPassed(20, 5, 60, 12))
        .when(ProvisionDone(4, ("2030-01-01",), 80))
        .then(
            ConnectRequested("us-east-1", "local", "api"),
            ConnectChecked(20, 5, 60, 12),
            ConnectProvisioned(4, ("2030-01-01",), 80),
        )
        .and_state(lifecycle=Lifecycle.READY, database=DatabaseHealth.UP, sequence=3)
        .and_state(platform_region="us-east-1", serving_region="local", migrations=64)
    )


def test_the_regions_are_those_that_the_surroundings_say() -> None:
    (
        given()
        .when(Connect(), terms=Terms("eu-west-2", "london"))
        .then(ConnectRequested("eu-west-2", "london", None))
        .and_state(platform_region="eu-west-2", serving_region="london")
    )


def test_a_second_connect_changes_nothing_while_the_first_is_worked_on() -> None:
    given().when(Connect()).then(ConnectRequested("us-east-1", "local")).when(Connect()).when(Connect()).then_nothing()


@pytest.mark.parametrize("situation", ["checking", "provisioning"])
def test_a_failure_stops_the_tenant_and_says_why(situation: str) -> None:
    why = Stop(StopReason.TOO_MANY_CONNECTIONS, "DatabaseLackOfConnections", "3 free, 5 required")
    (
        SITUATIONS[situation]
        .when(EffectFailed(*why))
        .then(ConnectStopped(*why))
        .and_state(lifecycle=Lifecycle.ABSENT, stop=why, database=DatabaseHealth.DOWN, reconnect=False)
    )


def test_a_connect_after_a_failure_tries_again_and_forgets_the_reason() -> None:
    (
        CHECKING.when(EffectFailed(StopReason.DATABASE_UNAVAILABLE, None, "refused"))
        .when(Connect())
        .and_state(lifecycle=Lifecycle.CHECKING, stop=None)
    )


def test_a_shutdown_stops_first_and_is_stopped_once_everything_is_closed() -> None:
    (
        READY.when(Shutdown(StopReason.IDLE))
        .then(ConnectStopping(StopReason.IDLE, None, "a shutdown was requested"))
        .and_state(lifecycle=Lifecycle.STOPPING, reconnect=False)
        .when(ConnectionClosed())
        .then(ConnectStopped(StopReason.IDLE, None, "a shutdown was requested"))
        .and_state(lifecycle=Lifecycle.ABSENT, database=DatabaseHealth.DOWN, reconnect=False)
    )


def test_a_stop_says_why_sessions_of_an_owner_before_may_still_be_there() -> None:
    (
        READY.when(Shutdown())
        .when(ConnectionClosed("nobody answers"))
        .and_state(stop=Stop(StopReason.REQUESTED, None, "a shutdown was requested; nobody answers"))
    )


def test_a_reload_stops_and_connects_again() -> None:
    (
        READY.when(Reload())
        .then(RELOADING)
        .and_state(lifecycle=Lifecycle.STOPPING, reconnect=True)
        .when(ConnectionClosed())
        .and_state(lifecycle=Lifecycle.ABSENT, reconnect=True)
        .when(ReconnectWanted())
        .and_state(lifecycle=Lifecycle.CHECKING, reconnect=False, stop=None)
    )


def test_a_reload_of_an_absent_tenant_connects_it() -> None:
    given().when(Reload()).then(ConnectRequested("us-east-1", "local")).and_state(reconnect=False)


def test_a_reload_while_stopping_connects_again_once() -> None:
    (
        READY.given(STOPPING)
        .when(Reload())
        .then(ConnectStopping(StopReason.REQUESTED, None, "a shutdown was requested", reconnect=True))
        .when(Reload())
        .then_nothing()
    )


def test_a_connect_while_stopping_is_connected_again_and_keeps_the_reason_of_the_stop() -> None:
    (
        READY.when(Shutdown(StopReason.REBALANCING))
        .then(ConnectStopping(StopReason.REBALANCING, None, "another region serves the tenant now"))
        .when(Connect())
        .then(ConnectStopping(StopReason.REBALANCING, None, "another region serves the tenant now", reconnect=True))
        .and_state(lifecycle=Lifecycle.STOPPING, since_event=EventName(4, CLAIM))
        .when(Connect())
        .then_nothing()
        .when(ConnectionClosed())
        .when(ReconnectWanted())
        .and_state(lifecycle=Lifecycle.CHECKING)
    )


def test_a_shutdown_while_stopping_calls_the_reconnect_off() -> None:
    (
        READY.given(RELOADING)
        .when(Shutdown(StopReason.SUSPENDED))
        .then(ConnectStopping(StopReason.SUSPENDED, "RealtimeDisabledForTenant", "the tenant is suspended"))
        .and_state(reconnect=False)
        .when(ConnectionClosed())
        .then(ConnectStopped(StopReason.SUSPENDED, "RealtimeDisabledForTenant", "the tenant is suspended"))
        .when(ReconnectWanted())
        .then_nothing()
    )


def test_a_shutdown_of_a_stopped_tenant_calls_its_reconnect_off() -> None:
    scenario = SITUATIONS["returning"].when(Shutdown(StopReason.SUSPENDED))
    assert reaction(scenario.state) is Reaction.REST
    assert scenario.when(ReconnectWanted()).decisions[-1] is None


def test_a_connect_of_a_stopped_tenant_does_not_wait_for_its_reconnect() -> None:
    (
        SITUATIONS["returning"]
        .when(Connect(requested_by="api"))
        .then(ConnectRequested("us-east-1", "local", "api"))
        .when(ReconnectWanted())
        .then_nothing()
    )


def test_a_pause_calls_the_reconnect_off() -> None:
    for situation in ("reloading", "returning"):
        (
            SITUATIONS[situation]
            .when(PauseTenant("hold", "ada"))
            .then(ConnectPaused("hold", "ada"))
            .and_state(reconnect=False)
            .when(ReconnectWanted())
            .then_nothing()
        )


def test_a_reconnect_is_requested_once() -> None:
    scenario = SITUATIONS["returning"].when(ReconnectWanted())
    scenario.then(ConnectRequested("us-east-1", "local", "reload")).when(ReconnectWanted()).then_nothing()


def test_a_second_shutdown_changes_nothing() -> None:
    READY.given(STOPPING).when(Shutdown(StopReason.IDLE)).then_nothing().and_state(
        stop=Stop(StopReason.REQUESTED, None, "a shutdown was requested")
    )


@pytest.mark.parametrize("report", [report for report in REPORTS if report not in WELCOME])
def test_an_effect_that_lost_its_race_changes_nothing(report: str) -> None:
    READY.given(STOPPING, STOPPED).when(REPORTS[report]).then_nothing().and_state(lifecycle=Lifecycle.ABSENT)


@pytest.mark.parametrize("report", ["check_passed", "provision_done", "effect_failed"])
def test_work_that_ends_after_its_shutdown_changes_nothing(report: str) -> None:
    for scenario in (CHECKING, PROVISIONING):
        scenario.given(STOPPING).when(REPORTS[report]).then_nothing().and_state(lifecycle=Lifecycle.STOPPING)


def test_a_ready_tenant_whose_work_cannot_succeed_closes_before_it_has_stopped() -> None:
    (
        READY.when(EffectFailed(StopReason.SUSPENDED, "RealtimeDisabledForTenant", "the tenant is suspended"))
        .then(ConnectStopping(StopReason.SUSPENDED, "RealtimeDisabledForTenant", "the tenant is suspended"))
        .when(ConnectionClosed())
        .then(ConnectStopped(StopReason.SUSPENDED, "RealtimeDisabledForTenant", "the tenant is suspended"))
    )


def test_a_database_is_migrated_while_nobody_is_connected_to_it() -> None:
    (
        SITUATIONS["stopped"]
        .when(MigrationsDone(17, 81, 900))
        .then(MigrationsFinished(17, 81, 900))
        .and_state(lifecycle=Lifecycle.ABSENT, migrations=81, stop=SITUATIONS["stopped"].state.stop)
        .when(Connect())
        .and_state(lifecycle=Lifecycle.CHECKING, migrations=81)
    )


@pytest.mark.parametrize("situation", ["checking", "provisioning", "ready", "stopping"])
def test_a_migration_beside_a_connection_is_the_connections_to_tell(situation: str) -> None:
    SITUATIONS[situation].when(MigrationsDone(17, 81, 900)).then_nothing()


def test_a_tenant_that_cannot_be_migrated_is_stopped_and_says_so() -> None:
    failure = Stop(StopReason.MIGRATIONS_FAILED, "MigrationsFailedToRun", "permission denied for schema realtime")
    PROVISIONING.when(EffectFailed(*failure)).then(ConnectStopped(*failure)).and_state(stop=failure)


def test_a_tenant_is_ready_once_it_is_migrated_and_not_before() -> None:
    for situation in ("checking", "provisioning"):
        assert answer(SITUATIONS[situation].state, Connect()) is Answer.PENDING
    assert answer(READY.state, Connect()) is Answer.OK


def test_retry_where_nothing_waits_changes_nothing() -> None:
    for scenario in (*LIFE.values(), SITUATIONS["used"], SITUATIONS["idle"], SITUATIONS["failing"]):
        scenario.when(Retry("now", "ada")).then_nothing()


def test_since_is_the_event_that_last_moved_the_lifecycle() -> None:
    ready = given(REQUESTED, CHECKED).given(PROVISIONED)
    moved = ready.state.since
    third = ready.state.since_event
    assert third is not None
    assert third.sequence == 3
    ready.given(LOST).and_state(since_event=third, since=moved, sequence=4)


def test_a_lifetime_can_be_repeated_without_end() -> None:
    scenario = given()
    for _ in range(50):
        scenario = scenario.given(REQUESTED, CHECKED, PROVISIONED, LOST, STOPPING, STOPPED)
    scenario.and_state(sequence=300, lifecycle=Lifecycle.ABSENT, database=DatabaseHealth.DOWN, recovery_until=None)
