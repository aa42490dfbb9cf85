"""Whether a tenant is healthy: in every situation, used and unused, migrated and not."""

from __future__ import annotations

from typing import Final

import pytest

from statemachine import Health, Terms, decide, health
from statemachine.commands import CheckHealth
from tests.support.scenario import START, given
from tests.unit.statemachine.situations import MIGRATED, PARTITION_FAILED, SITUATIONS, TODAY, cells

FOUND: Final = """
situation     healthy  used  pending  connected  streamed
never         no       no    no       no         no
checking      no       no    no       no         no
provisioning  no       no    no       no         no
ready         yes      yes   yes      yes        no
stopping      no       no    no       no         no
reloading     no       no    no       no         no
pausing       no       no    no       no         no
stopped       yes      no    no       no         no
returning     yes      no    no       no         no
paused        yes      no    no       no         no
recovering    no       no    no       no         no
starting      yes      yes   yes      yes        no
streaming     yes      yes   yes      yes        yes
waiting       yes      yes   yes      yes        no
postponed     yes      yes   yes      yes        no
used          yes      yes   yes      yes        no
idle          yes      yes   yes      yes        no
undated       no       no    no       yes        no
failing       no       no    no       no         no
limited       no       no    no       no         no
delayed       no       no    no       no         no
"""
"""healthy: with no users and nothing left to migrate. used: the same with users. pending: the same with migrations
left. connected, streamed: what the check says of the connection and of the stream. `never`, `failing`, `limited` and
`delayed` were never seen to be migrated."""

KNOWN: Final = 64
"""As many migrations as a tenant that was ready has."""


def _found(situation: str, column: str) -> bool:
    state = SITUATIONS[situation].state
    match column:
        case "healthy":
            return health(state, 0, KNOWN).healthy
        case "used":
            return health(state, 3, KNOWN).healthy
        case "pending":
            return health(state, 0, KNOWN + 1).healthy
        case "connected":
            return health(state, 0, KNOWN).db_connected
        case _:
            return health(state, 0, KNOWN).replication_connected


@pytest.mark.parametrize(("situation", "column", "expected"), cells(FOUND))
def test_a_tenant_is_as_healthy_as_the_table_says(situation: str, column: str, expected: str) -> None:
    assert _found(situation, column) == (expected == "yes")


def test_the_table_has_every_situation() -> None:
    assert list(dict.fromkeys(situation for situation, _, _ in cells(FOUND))) == list(SITUATIONS)


def test_a_tenant_that_is_used_and_not_connected_is_not_healthy() -> None:
    assert not health(SITUATIONS["stopped"].state, 1, KNOWN).healthy
    assert health(SITUATIONS["stopped"].state, 0, KNOWN).healthy


def test_a_tenant_whose_database_was_never_seen_has_migrations_pending() -> None:
    assert health(given().state, 0, 0).migrations_pending
    assert health(given().state, 0, 0) == Health(
        healthy=False,
        db_connected=False,
        replication_connected=False,
        connected_cluster=0,
        migrations_pending=True,
        partitions_failed=(),
    )


def test_a_tenant_that_was_migrated_without_a_connection_is_healthy() -> None:
    scenario = given(MIGRATED)
    assert health(scenario.state, 0, 81).healthy
    assert health(scenario.state, 0, 82).migrations_pending


def test_a_database_with_more_migrations_than_there_are_has_none_pending() -> None:
    assert not health(SITUATIONS["stopped"].state, 0, KNOWN - 1).migrations_pending


def test_the_count_of_users_and_the_failed_days_are_told() -> None:
    found = health(SITUATIONS["streaming"].given(PARTITION_FAILED).state, 12, KNOWN)
    assert (found.connected_cluster, found.replication_connected, found.partitions_failed) == (12, True, (TODAY,))


def test_a_failed_day_makes_a_tenant_at_rest_unhealthy_too() -> None:
    assert not health(SITUATIONS["stopped"].given(PARTITION_FAILED).state, 0, KNOWN).healthy


def test_the_health_of_a_tenant_that_a_view_does_not_know_yet_is_told() -> None:
    for scenario in SITUATIONS.values():
        assert decide(scenario.state, CheckHealth(), START, Terms()) is None


def test_asking_for_health_starts_nothing() -> None:
    for scenario in SITUATIONS.values():
        assert scenario.when(CheckHealth()).state is scenario.state
