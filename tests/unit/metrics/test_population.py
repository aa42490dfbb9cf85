from __future__ import annotations

from datetime import timedelta

from statemachine.events import (
    ConnectPaused,
    ConnectStopped,
    DatabaseLost,
    LimitReached,
    OccupancyIdle,
    OccupancyUsed,
    PartitionsFailed,
    ReplicationPostponed,
    ReplicationStarted,
)
from statemachine.state import ReplicationMode, StopReason
from streams.metrics.rebuild import PartitionProgress
from tests.support.scenario import START, given
from tests.unit.metrics.watching import CHECKED, READY, REQUESTED, Watch

SOON = START + timedelta(minutes=1)
LATER = START + timedelta(hours=2)
STARTED = ReplicationStarted("slot", ReplicationMode.DURABLE, None, "7", 1, 0, "0/1")
FAILED = ConnectStopped(StopReason.DATABASE_UNAVAILABLE, "UnableToConnectToTenantDatabase", "no route")


def test_tenants_are_counted_by_the_states_of_all_machines(watch: Watch) -> None:
    watch.states = [
        given().state,
        given(REQUESTED).state,
        given(REQUESTED, CHECKED).state,
        given(*READY).state,
        given(*READY, STARTED, OccupancyUsed(2)).state,
        given(*READY, STARTED, OccupancyIdle(LATER)).state,
        given(*READY, DatabaseLost(LATER)).state,
    ]
    assert watch.figures("tenant_connect_tenants_lifecycle", "state") == {
        "absent": 1,
        "checking": 1,
        "provisioning": 1,
        "ready": 4,
    }
    assert watch.figures("tenant_connect_tenants_database", "state") == {"down": 3, "up": 3, "recovering": 1}
    assert watch.figures("tenant_connect_tenants_replication", "state") == {"off": 3, "starting": 2, "streaming": 2}
    assert watch.figures("tenant_connect_tenants_occupancy", "state") == {"unknown": 5, "used": 1, "idle": 1}
    assert watch.figure("realtime_tenants_connected") == 6


def test_a_state_that_no_tenant_is_in_is_shown_as_none(watch: Watch) -> None:
    assert watch.figure("tenant_connect_tenants_lifecycle", state="stopping") == 0
    assert watch.figure("tenant_connect_tenants_replication", state="waiting") == 0


def test_windows_limits_and_holds_that_are_open_are_counted(watch: Watch) -> None:
    postponed = ReplicationPostponed("ReplicationSlotInUse", "", SOON, LATER)
    watch.states = [
        given(*READY, DatabaseLost(LATER)).state,
        given(*READY, postponed, DatabaseLost(LATER)).state,
        given(REQUESTED, FAILED, LimitReached(LATER)).state,
        given(ConnectPaused("moving", "ops")).state,
        given(*READY, PartitionsFailed("2030-01-02", "no room"), PartitionsFailed("2030-01-03", "no room")).state,
    ]
    assert watch.figures("tenant_connect_windows_open", "window") == {
        "database_recovery": 2,
        "replication_recovery": 1,
    }
    assert watch.figure("tenant_connect_connect_limits_open") == 1
    assert watch.figure("tenant_connect_tenants_paused") == 1
    assert watch.figure("tenant_connect_tenants_without_day") == 1


def test_before_the_first_assignment_nobody_knows_how_many_are_connected(watch: Watch) -> None:
    watch.assigned = None
    assert watch.figure("realtime_tenants_connected") == -1
    assert watch.figure("tenant_connect_ready") == 0
    watch.assigned = ()
    assert watch.figure("realtime_tenants_connected") == 0
    assert watch.figure("tenant_connect_ready") == 1


def test_partitions_that_are_rebuilt_say_what_is_left(watch: Watch) -> None:
    watch.assigned = (
        PartitionProgress(0, served=True, position=9, target=None, rate=None),
        PartitionProgress(1, served=False, position=40, target=100, rate=12.5),
        PartitionProgress(2, served=False, position=-1, target=19, rate=None),
    )
    assert watch.figures("tenant_connect_partitions", "state") == {"served": 1, "rebuilding": 2}
    assert watch.figure("tenant_connect_rebuild_events_left") == 80
    assert watch.figure("tenant_connect_rebuild_events_per_second") == 12.5
    assert watch.figure("tenant_connect_ready") == 0
