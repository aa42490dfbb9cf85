"""The days whose partitions could not be made: told once, remembered, tried again, and never in the way of ready."""

from __future__ import annotations

import pytest

from statemachine import health
from statemachine.commands import Connect, ConnectionClosed, PartitionFailed, PartitionMade, ProvisionDone, Shutdown
from statemachine.events import PartitionsFailed, PartitionsRestored
from statemachine.machines import Lifecycle
from tests.unit.statemachine.situations import (
    PARTITION_FAILED,
    PROVISIONING,
    READY,
    REPORTS,
    SITUATIONS,
    TODAY,
    TOMORROW,
    YESTERDAY,
)

REASON = "permission denied for schema realtime"


def test_a_tenant_with_a_day_that_failed_is_ready_nevertheless() -> None:
    (
        PROVISIONING.when(ProvisionDone(4, (TOMORROW,), 80))
        .when(PartitionFailed(TODAY, REASON))
        .and_state(lifecycle=Lifecycle.READY, partitions_failed=(TODAY,))
    )


def test_a_day_that_failed_is_told_once_and_remembered_in_order() -> None:
    (
        READY.when(PartitionFailed(TOMORROW, REASON))
        .when(PartitionFailed(YESTERDAY, REASON))
        .then(PartitionsFailed(TOMORROW, REASON), PartitionsFailed(YESTERDAY, REASON))
        .when(PartitionFailed(TOMORROW, "another reason"))
        .then_nothing()
        .and_state(partitions_failed=(YESTERDAY, TOMORROW))
    )


def test_a_day_that_is_made_after_it_failed_is_told_and_forgotten() -> None:
    (
        SITUATIONS["undated"]
        .given(PartitionsFailed(TOMORROW, REASON))
        .when(PartitionMade(TODAY))
        .then(PartitionsRestored(TODAY))
        .and_state(partitions_failed=(TOMORROW,))
        .when(PartitionMade(TODAY))
        .then_nothing()
    )


def test_a_day_that_is_made_as_it_should_be_is_no_event() -> None:
    READY.when(PartitionMade(TODAY)).then_nothing()


def test_days_are_looked_after_once_more_when_the_tenant_has_no_connection() -> None:
    absent = SITUATIONS["undated"].when(Shutdown()).when(ConnectionClosed()).and_state(partitions_failed=(TODAY,))
    absent.when(PartitionFailed(TOMORROW, REASON)).and_state(partitions_failed=(TODAY, TOMORROW)).when(
        PartitionMade(TODAY)
    ).and_state(lifecycle=Lifecycle.ABSENT, partitions_failed=(TOMORROW,))


@pytest.mark.parametrize("situation", ["checking", "provisioning", "stopping"])
def test_days_are_not_told_of_while_the_tenant_comes_or_goes(situation: str) -> None:
    SITUATIONS[situation].when(REPORTS["partition_failed"]).when(REPORTS["partition_made"]).then_nothing()


def test_a_connect_that_makes_a_failed_day_forgets_it_and_keeps_the_others() -> None:
    stopped = SITUATIONS["undated"].given(PartitionsFailed(TOMORROW, REASON)).when(Shutdown()).when(ConnectionClosed())
    provisioning = stopped.when(Connect()).when(REPORTS["check_passed"]).and_state(partitions_failed=(TODAY, TOMORROW))
    provisioning.when(ProvisionDone(0, (YESTERDAY, TODAY), 3)).and_state(partitions_failed=(TOMORROW,))


def test_a_failed_day_is_seen_in_the_health_of_the_tenant() -> None:
    failed = SITUATIONS["undated"]
    found = health(failed.state, users=0, migrations_known=64)
    assert (found.healthy, found.db_connected, found.partitions_failed) == (False, True, (TODAY,))
    assert health(failed.when(PartitionMade(TODAY)).state, users=0, migrations_known=64).healthy


def test_the_event_says_what_the_database_said() -> None:
    READY.when(PartitionFailed(TODAY, REASON)).then(PARTITION_FAILED)
