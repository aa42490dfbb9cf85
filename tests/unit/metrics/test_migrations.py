from __future__ import annotations

from dataclasses import replace

import pytest

from statemachine.events import ConnectProvisioned, ConnectStopped, ConnectStopping, MigrationsFinished
from statemachine.state import StopReason
from streams.metrics.tally import LABEL_VALUES_MAX
from tests.support.scenario import given
from tests.unit.metrics.watching import CHECKED, PROVISIONED, READY, REQUESTED, STOPPED, Watch

DURATION = "realtime_tenants_migrations_duration_milliseconds"


def failed(message: str) -> ConnectStopped:
    return ConnectStopped(StopReason.MIGRATIONS_FAILED, "MigrationsFailedToRun", message)


def test_migrations_that_ran_are_timed_by_platform_region(watch: Watch) -> None:
    watch.when(REQUESTED, CHECKED, ConnectProvisioned(81, (), 300))
    assert watch.figure(f"{DURATION}_sum", platform_region="us-east-1") == 300
    assert watch.figure(f"{DURATION}_bucket", platform_region="us-east-1", le="250.0") == 0
    assert watch.figure(f"{DURATION}_bucket", platform_region="us-east-1", le="500.0") == 1


def test_a_connect_that_had_nothing_to_migrate_is_not_timed(watch: Watch) -> None:
    watch.when(*READY)
    assert watch.figures(f"{DURATION}_count", "platform_region") == {}


def test_migrations_of_a_tenant_that_is_not_connected_are_timed_too(watch: Watch) -> None:
    watch.when(MigrationsFinished(2, 81, 700), to=given(*READY, *STOPPED))
    assert watch.figures(f"{DURATION}_sum", "platform_region") == {"us-east-1": 700}


def test_regions_beyond_the_bound_share_one_series(watch: Watch) -> None:
    for number in range(LABEL_VALUES_MAX + 5):
        requested = replace(REQUESTED, platform_region=f"region-{number}")
        watch.when(requested, CHECKED, ConnectProvisioned(1, (), 100))
    counted = watch.figures(f"{DURATION}_count", "platform_region")
    assert counted["other"] == 5
    assert len(counted) == LABEL_VALUES_MAX + 1


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("Migration 0007_x.sql failed on database 'd' at h:5432 as user 'u': SQLSTATE 42P07: it exists.", "42P07"),
        ("Taking the migration lock failed on database 'd' at h:5432 as user 'u': no answer in time.", "other"),
    ],
)
def test_migrations_that_fail_are_counted_by_the_error_of_the_server(watch: Watch, message: str, code: str) -> None:
    watch.when(REQUESTED, CHECKED, failed(message))
    assert watch.figures("realtime_tenants_migrations_exceptions_total", "error_code") == {code: 1}


def test_migrations_that_fail_are_counted_once_though_closing_takes_a_second_event(watch: Watch) -> None:
    last = failed("SQLSTATE 42P07")
    watch.when(REQUESTED, CHECKED, ConnectStopping(last.reason, last.code, last.message), last)
    assert watch.figures("realtime_tenants_migrations_exceptions_total", "error_code") == {"42P07": 1}


@pytest.mark.parametrize(("found", "counted"), [(81, 0), (80, 1), (82, 1)])
def test_a_count_of_migrations_that_changed_meanwhile_is_a_reconciliation(
    watch: Watch, found: int, counted: int
) -> None:
    ready = watch.when(*READY)
    watch.when(*STOPPED, REQUESTED, replace(CHECKED, migrations_on_database=found), PROVISIONED, to=ready)
    assert watch.figure("realtime_tenants_migrations_reconcile_total") == counted
