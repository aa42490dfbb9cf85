from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from streams.catalog.entry import Database
from streams.devstack.postgres import PostgresServer
from streams.tenantdb.failure import Reason, TenantDatabaseFailure
from streams.tenantdb.migrate import Migration, migrate, read_migrations
from streams.tenantdb.naming import MIGRATIONS
from streams.tenantdb.session import SessionLimits, short_session
from tests.integration.tenantdb import runner
from tests.integration.tenantdb.conditions import eventually
from tests.integration.tenantdb.conftest import entry_of

pytestmark = pytest.mark.postgres

GOOD = Migration(1, "0001_good.sql", "create table realtime.good ()")
SLOW = Migration(2, "0002_slow.sql", "create table realtime.half (); select pg_catalog.pg_sleep(90)")
MENDED = Migration(2, "0002_slow.sql", "create table realtime.half ()")

COUNTED = Migration(
    9000, "9000_counted.sql", "create table if not exists realtime.ran (); insert into realtime.ran default values"
)

CONNECTION_GONE = "08003"
"""The SQLSTATE of a connection that ended under a statement, whatever the server said at the end."""

LIMITS = SessionLimits(migration_lock_ms=20_000, migration_statement_ms=100_000)
"""Less patience with another runner than the slow file takes."""


@pytest.fixture
def crashing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    server = PostgresServer(tmp_path_factory.mktemp("crashing"))
    server.start()
    yield server
    server.kill()


async def run(database: Database, *migrations: Migration) -> int:
    async with short_session(
        database, application_name=MIGRATIONS, limits=LIMITS, statement_ms=LIMITS.migration_statement_ms
    ) as session:
        return await migrate(session, database, LIMITS, migrations)


async def sleeps(superuser: Any) -> bool:
    return bool(
        await superuser.fetchval(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'"
        )
    )


async def trace(superuser: Any) -> tuple[list[int], set[str]]:
    """The versions that are recorded, and the tables that are there."""
    versions = await superuser.fetch("select version from realtime.schema_migrations order by version")
    tables = await superuser.fetch("select tablename from pg_tables where schemaname = 'realtime'")
    return [row["version"] for row in versions], {row["tablename"] for row in tables} & {"good", "half"}


async def test_a_server_that_dies_in_the_middle_of_a_file_has_no_trace_of_it(crashing: PostgresServer) -> None:
    database = entry_of(crashing)
    superuser = await crashing.superuser_connection()
    running = asyncio.create_task(run(database, GOOD, SLOW))
    await eventually(lambda: sleeps(superuser), "the second file runs")
    superuser.terminate()
    crashing.kill()
    with pytest.raises(TenantDatabaseFailure, match=r"Migration 0002_slow\.sql failed") as caught:
        await running
    assert (caught.value.reason, caught.value.sqlstate) == (Reason.MIGRATIONS_FAILED, CONNECTION_GONE)
    crashing.start()
    superuser = await crashing.superuser_connection()
    assert await trace(superuser) == ([1], {"good"})
    assert await run(database, GOOD, MENDED) == 1
    assert await trace(superuser) == ([1, 2], {"good", "half"})
    await superuser.close()


async def test_a_backend_that_is_ended_in_the_middle_of_a_file_is_named_with_its_sqlstate(
    database: Database, superuser: Any
) -> None:
    running = asyncio.create_task(run(database, GOOD, SLOW))
    await eventually(lambda: sleeps(superuser), "the second file runs")
    await superuser.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where datname = current_database() and wait_event = 'PgSleep'"
    )
    with pytest.raises(TenantDatabaseFailure, match=r"0002_slow\.sql .* due to administrator command") as caught:
        await running
    assert (caught.value.reason, caught.value.sqlstate) == (Reason.MIGRATIONS_FAILED, CONNECTION_GONE)
    assert await trace(superuser) == ([1], {"good"})


async def test_a_runner_that_is_killed_in_the_middle_of_a_file_leaves_no_trace_and_does_not_hold_up_the_next(
    database: Database, superuser: Any
) -> None:
    killed = await runner.start(database, (GOOD, SLOW))
    await eventually(lambda: sleeps(superuser), "the second file runs in the other process")
    killed.kill()
    await killed.communicate()
    assert await trace(superuser) == ([1], {"good"})
    assert await run(database, GOOD, MENDED) == 1
    assert await trace(superuser) == ([1, 2], {"good", "half"})


async def test_two_processes_at_once_apply_every_file_once(database: Database, superuser: Any) -> None:
    files = (*read_migrations(), COUNTED)
    processes = [await runner.start(database, files) for _ in range(2)]
    assert sorted(await asyncio.gather(*map(runner.ran, processes))) == [0, len(files)]
    assert await superuser.fetchval("select count(*) from realtime.ran") == 1
    recorded = await superuser.fetchval("select count(*) from realtime.schema_migrations")
    assert recorded == len(files)


async def test_a_second_process_waits_for_the_first_in_the_middle_of_a_file(
    database: Database, superuser: Any, postgres: PostgresServer
) -> None:
    file = Migration(1, "0001_gate.sql", "lock table public.gate in access share mode; create table realtime.good ()")
    await superuser.execute("create table public.gate ()")
    keeper = await postgres.superuser_connection(database.name)
    async with keeper.transaction():
        await keeper.execute("lock table public.gate in access exclusive mode")
        first = await runner.start(database, (file,))
        await eventually(lambda: waits(superuser, "relation"), "the first runner is in the middle of the file")
        second = await runner.start(database, (file,))
        await eventually(lambda: waits(superuser, "advisory"), "the second runner waits for the first")
    await keeper.close()
    assert (await runner.ran(first), await runner.ran(second)) == (1, 0)
    assert await trace(superuser) == ([1], {"good"})


async def waits(superuser: Any, event: str) -> bool:
    return bool(
        await superuser.fetchval(
            "select count(*) from pg_stat_activity "
            "where datname = current_database() and wait_event_type = 'Lock' and wait_event = $1",
            event,
        )
    )
