from __future__ import annotations

import pytest

from statemachine.events import (
    ConnectPaused,
    ConnectStopped,
    ConnectStopping,
    OccupancyUsed,
)
from statemachine.state import StopReason
from streams.metrics import connects
from tests.support.scenario import given
from tests.unit.metrics.watching import CHECKED, PROVISIONED, READY, REQUESTED, STOPPED, Watch

UNAVAILABLE = ConnectStopped(StopReason.DATABASE_UNAVAILABLE, "UnableToConnectToTenantDatabase", "no route")


def test_every_event_is_counted_by_its_type(watch: Watch) -> None:
    watch.when(*STOPPED, *READY, to=watch.when(*READY))
    counted = watch.figures("tenant_connect_events_total", "type")
    assert counted == {
        "connect.requested": 2,
        "connect.checked": 2,
        "connect.provisioned": 2,
        "connect.stopping": 1,
        "connect.stopped": 1,
    }


def test_a_connect_ends_ready_or_with_the_reason_why_not(watch: Watch) -> None:
    ready = watch.when(*READY)
    watch.when(*STOPPED, REQUESTED, UNAVAILABLE, REQUESTED, CHECKED, ConnectPaused("moving", "ops"), to=ready)
    assert watch.figures("tenant_connect_connects_total", "outcome") == {
        "ready": 1,
        "database_unavailable": 1,
        "paused": 1,
    }


def test_a_connect_that_is_given_up_while_it_runs_ends_once(watch: Watch) -> None:
    watch.when(REQUESTED, ConnectStopping(StopReason.REMOVED), ConnectStopped(StopReason.REMOVED))
    assert watch.figures("tenant_connect_connects_total", "outcome") == {"removed": 1}


def test_failures_of_connects_are_told_apart_by_their_code(watch: Watch) -> None:
    watch.when(REQUESTED, UNAVAILABLE, REQUESTED, CHECKED, UNAVAILABLE, REQUESTED, *STOPPED)
    counted = watch.figures("tenant_connect_connect_failures_total", "code")
    assert counted == {"UnableToConnectToTenantDatabase": 2}


def test_a_ready_tenant_that_is_stopped_is_no_failed_connect(watch: Watch) -> None:
    watch.when(*READY, ConnectStopping(StopReason.DATABASE_CLOSED, "DatabaseConnectionDown", ""), STOPPED[1])
    assert watch.figures("tenant_connect_connect_failures_total", "code") == {}
    assert watch.figures("tenant_connect_connects_total", "outcome") == {"ready": 1}


def test_stops_are_counted_once_by_reason(watch: Watch) -> None:
    idle = ConnectStopping(StopReason.IDLE), ConnectStopped(StopReason.IDLE)
    watch.when(*READY, *idle, *READY, *STOPPED, REQUESTED, UNAVAILABLE)
    assert watch.figures("tenant_connect_stops_total", "reason") == {
        "idle": 1,
        "requested": 1,
        "database_unavailable": 1,
    }


def test_a_reconnect_that_is_called_off_stops_nothing(watch: Watch) -> None:
    wanted = given(*READY, ConnectStopping(StopReason.REQUESTED, reconnect=True), STOPPED[1])
    watch.when(ConnectStopped(StopReason.REMOVED), to=wanted)
    assert watch.figures("tenant_connect_stops_total", "reason") == {}


def test_the_time_to_ready_runs_from_the_request(watch: Watch) -> None:
    watch.when(*READY)
    assert watch.figure("tenant_connect_connect_ready_seconds_sum") == 2
    assert watch.figure("tenant_connect_connect_ready_seconds_bucket", le="1.0") == 0
    assert watch.figure("tenant_connect_connect_ready_seconds_bucket", le="2.5") == 1


def test_a_connect_whose_request_another_worker_took_is_not_timed_from_an_older_one(watch: Watch) -> None:
    elsewhere = watch.when(REQUESTED, CHECKED).given(*STOPPED, REQUESTED, CHECKED)
    watch.when(PROVISIONED, to=elsewhere)
    assert watch.figure("tenant_connect_connect_ready_seconds_count") == 0
    assert watch.figures("tenant_connect_connects_total", "outcome") == {"ready": 1}


def test_beginnings_are_forgotten_when_there_are_too_many(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connects, "BEGINNINGS_MAX", 2)
    begun = [watch.when(REQUESTED, CHECKED, to=given(tenant=f"t{number}")) for number in range(3)]
    for scenario in begun:
        watch.when(PROVISIONED, to=scenario)
    assert watch.figure("tenant_connect_connect_ready_seconds_count") == 2
    assert watch.figures("tenant_connect_connects_total", "outcome") == {"ready": 3}


def test_events_that_are_no_connects_leave_connects_alone(watch: Watch) -> None:
    watch.when(OccupancyUsed(3), to=given(*READY))
    assert watch.figures("tenant_connect_connects_total", "outcome") == {}
    assert watch.figures("tenant_connect_events_total", "type") == {"occupancy.used": 1}
