from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from streams.catalog.entry import Database
from streams.devstack.postgres import PostgresServer
from streams.tenantdb.naming import slot_name
from streams.tenantdb.slot import SlotHealth, free_slot, slot_health
from tests.integration.replication.place import connected, entry, server
from tests.integration.tenantdb.conditions import eventually

pytestmark = pytest.mark.postgres

NAME = slot_name("t1")
MAKE = "select pg_create_logical_replication_slot($1, 'pgoutput', $2)"


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server that takes WAL away from a slot that lags by 32 MB."""
    settings = {"max_slot_wal_keep_size": "32MB", "max_wal_size": "32MB", "min_wal_size": "32MB"}
    with server(tmp_path_factory.mktemp("forgetful"), settings) as made:
        yield made


@pytest.fixture
async def lagging(forgetful: PostgresServer) -> AsyncIterator[Any]:
    session = await connected(entry(forgetful, "postgres"))
    yield session
    await session.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots")
    await session.close()


async def write_wal(session: Any, megabytes: int) -> None:
    for _ in range(megabytes):
        await session.execute("select pg_logical_emit_message(false, 'test', repeat('x', 1048576))")


async def test_a_name_that_nobody_uses_is_free(database: Database, superuser: Any) -> None:
    assert await free_slot(superuser, database, NAME) is None


async def test_a_leftover_that_nobody_streams_from_is_dropped(database: Database, superuser: Any) -> None:
    await superuser.fetchval(MAKE, NAME, False)
    assert await free_slot(superuser, database, NAME) is None
    assert await superuser.fetchval("select count(*) from pg_replication_slots where slot_name = $1", NAME) == 0


async def test_a_slot_in_use_is_left_to_whoever_uses_it(database: Database, superuser: Any) -> None:
    other = await connected(database)
    await other.execute("set application_name = 'somebody'")
    await other.fetchval(MAKE, NAME, True)
    holder = await free_slot(superuser, database, NAME)
    assert str(holder) == f"pid {other.get_server_pid()} (application 'somebody')"
    assert await superuser.fetchval("select count(*) from pg_replication_slots where slot_name = $1", NAME) == 1
    await other.close()
    await eventually(lambda: has_no_slot(superuser), "the slot is gone")


async def has_no_slot(superuser: Any) -> bool:
    return not await superuser.fetchval("select count(*) from pg_replication_slots where slot_name = $1", NAME)


async def test_other_slots_are_left_alone(database: Database, superuser: Any) -> None:
    other = slot_name(f"other {database.name}")
    await superuser.fetchval(MAKE, other, False)
    await free_slot(superuser, database, NAME)
    assert await superuser.fetchval("select count(*) from pg_replication_slots where slot_name = $1", other) == 1
    await superuser.fetchval("select pg_drop_replication_slot($1)", other)


async def test_the_health_of_a_slot_is_told(database: Database, superuser: Any) -> None:
    assert await slot_health(superuser, database, NAME) is SlotHealth.MISSING
    other = await connected(database)
    await other.fetchval(MAKE, NAME, True)
    assert await slot_health(superuser, database, NAME) is SlotHealth.ALIVE
    await other.close()
    await eventually(lambda: has_no_slot(superuser), "the slot is gone")


async def test_without_a_limit_no_slot_lags(database: Database, superuser: Any) -> None:
    assert await superuser.fetchval("show max_slot_wal_keep_size") == "-1"
    await superuser.fetchval(MAKE, NAME, False)
    await write_wal(superuser, 20)
    assert await slot_health(superuser, database, NAME) is SlotHealth.INACTIVE
    await free_slot(superuser, database, NAME)


async def test_more_than_half_of_the_limit_is_lagging_even_where_nobody_streams(
    forgetful: PostgresServer, lagging: Any
) -> None:
    database = entry(forgetful, "postgres")
    await lagging.fetchval(MAKE, NAME, False)
    await write_wal(lagging, 12)
    assert await slot_health(lagging, database, NAME) is SlotHealth.INACTIVE
    await write_wal(lagging, 8)
    assert await slot_health(lagging, database, NAME) is SlotHealth.LAGGING


async def test_a_slot_whose_wal_was_taken_away_is_missing(forgetful: PostgresServer, lagging: Any) -> None:
    database = entry(forgetful, "postgres")
    await lagging.fetchval(MAKE, NAME, False)
    await write_wal(lagging, 80)
    await lagging.execute("checkpoint")
    assert await lagging.fetchval("select wal_status from pg_replication_slots where slot_name = $1", NAME) == "lost"
    assert await slot_health(lagging, database, NAME) is SlotHealth.MISSING
