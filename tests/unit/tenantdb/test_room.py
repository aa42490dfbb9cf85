from __future__ import annotations

import pytest

from streams.tenantdb.room import Room, pooled_connections, requirement, room


@pytest.mark.parametrize(("pooled", "required"), [(10, 10), (131, 125), (208, 198)])
def test_ninety_five_percent_of_the_pools_are_required_rounded_up(pooled: int, required: int) -> None:
    assert requirement(pooled) == required


@pytest.mark.parametrize(("pool", "subscriptions", "pooled"), [(1, 1, 10), (50, 73, 131), (100, 100, 208)])
def test_the_pools_are_those_of_the_platform(pool: int, subscriptions: int, pooled: int) -> None:
    assert pooled_connections(pool, subscriptions) == pooled


def test_the_pool_that_is_opened_is_the_pool_that_is_counted() -> None:
    assert pooled_connections(41) - pooled_connections(1) == 40


@pytest.mark.parametrize(("available", "enough"), [(9, False), (10, False), (11, True)])
def test_room_is_enough_only_when_more_is_free_than_is_required(available: int, enough: bool) -> None:
    assert Room(available=available, required=10).enough is enough


def test_room_is_what_others_leave_of_the_servers_connections() -> None:
    assert room(connections_max=100, used=37, pool_size=1) == Room(available=63, required=10)


def test_a_server_with_more_sessions_than_connections_has_no_room() -> None:
    assert not room(connections_max=10, used=14, pool_size=1).enough
