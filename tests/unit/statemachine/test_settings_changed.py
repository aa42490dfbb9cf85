"""What becomes of a tenant whose catalog entry is another one: other settings, suspended, moved, removed."""

from __future__ import annotations

from typing import Final

import pytest

from statemachine import Reaction, reaction
from statemachine.commands import (
    CheckPassed,
    Connect,
    ConnectionClosed,
    PauseTenant,
    ProvisionDone,
    ReconnectWanted,
    SettingsChanged,
    Shutdown,
)
from statemachine.events import ConnectRequested, ConnectStopped, ConnectStopping
from statemachine.machines import Lifecycle, Replication
from statemachine.state import ReplicationMode, StopReason
from tests.unit.statemachine.situations import SITUATIONS

CHANGED: Final = ConnectStopping(StopReason.REQUESTED, None, "the settings changed", reconnect=True)
LIVE: Final = ["checking", "provisioning", "ready", "recovering", "starting", "streaming", "waiting", "used", "idle"]


@pytest.mark.parametrize("situation", LIVE)
def test_a_live_tenant_is_connected_anew_with_other_settings(situation: str) -> None:
    (
        SITUATIONS[situation]
        .when(SettingsChanged())
        .then(CHANGED)
        .and_state(lifecycle=Lifecycle.STOPPING, reconnect=True)
        .when(ConnectionClosed())
        .then(ConnectStopped(StopReason.REQUESTED, None, "the settings changed"))
        .when(ReconnectWanted())
        .then(ConnectRequested("us-east-1", "local", "reload"))
        .and_state(lifecycle=Lifecycle.CHECKING)
    )


def test_settings_that_change_twice_before_the_tenant_has_stopped_connect_it_anew_once() -> None:
    SITUATIONS["ready"].when(SettingsChanged()).then(CHANGED).when(SettingsChanged()).then_nothing()


@pytest.mark.parametrize("situation", ["stopping", "pausing", "never", "stopped", "paused", "failing"])
def test_other_settings_connect_no_tenant_that_is_not_to_be_connected(situation: str) -> None:
    scenario = SITUATIONS[situation].when(SettingsChanged()).then_nothing()
    assert reaction(scenario.state) in {Reaction.CLOSE, Reaction.REST}


def test_rows_are_streamed_in_the_mode_of_the_new_settings() -> None:
    scenario = SITUATIONS["streaming"].when(SettingsChanged()).when(ConnectionClosed()).when(ReconnectWanted())
    checked = scenario.when(CheckPassed(20, 5, 64, 3, ReplicationMode.OFF))
    checked.when(ProvisionDone(0, (), 3)).and_state(lifecycle=Lifecycle.READY, replication=Replication.OFF)


def test_the_fingerprint_of_the_settings_that_were_found_good_outlives_its_owner() -> None:
    scenario = (
        SITUATIONS["checking"].when(CheckPassed(20, 5, 64, 3, ReplicationMode.OFF, "0a1b")).and_state(settings="0a1b")
    )
    scenario.when(ProvisionDone(0, (), 3)).taken_over(9).and_state(settings="0a1b")


@pytest.mark.parametrize(
    ("reason", "code", "message"),
    [
        (StopReason.SUSPENDED, "RealtimeDisabledForTenant", "the tenant is suspended"),
        (StopReason.REMOVED, None, "the tenant was removed from the catalog"),
        (StopReason.TENANT_NOT_FOUND, "TenantNotFound", "the catalog has no such tenant"),
        (StopReason.REBALANCING, None, "another region serves the tenant now"),
    ],
)
@pytest.mark.parametrize("situation", LIVE)
def test_a_tenant_that_is_suspended_removed_or_moved_gives_a_live_connection_up(
    situation: str, reason: StopReason, code: str | None, message: str
) -> None:
    (
        SITUATIONS[situation]
        .when(Shutdown(reason))
        .then(ConnectStopping(reason, code, message))
        .and_state(lifecycle=Lifecycle.STOPPING, reconnect=False)
        .when(ConnectionClosed())
        .then(ConnectStopped(reason, code, message))
        .when(ReconnectWanted())
        .then_nothing()
    )


def test_a_suspension_after_a_change_of_settings_calls_the_reconnect_off() -> None:
    scenario = SITUATIONS["ready"].when(SettingsChanged()).when(Shutdown(StopReason.SUSPENDED))
    scenario.and_state(reconnect=False).when(ConnectionClosed()).when(ReconnectWanted()).and_state(
        lifecycle=Lifecycle.ABSENT
    )


def test_a_pause_after_a_change_of_settings_calls_the_reconnect_off() -> None:
    scenario = SITUATIONS["ready"].when(SettingsChanged()).when(PauseTenant("hold", "ada")).and_state(reconnect=False)
    scenario.when(ConnectionClosed()).when(ReconnectWanted()).and_state(lifecycle=Lifecycle.ABSENT)


def test_a_connect_while_the_old_settings_are_given_up_waits_for_the_new_ones() -> None:
    SITUATIONS["ready"].when(SettingsChanged()).then(CHANGED).when(Connect()).then_nothing().and_state(reconnect=True)
