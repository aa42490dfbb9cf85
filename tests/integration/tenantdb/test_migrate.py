from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest

from streams.catalog.entry import Database
from streams.devstack.postgres import PostgresServer
from streams.tenantdb.check import check
from streams.tenantdb.failure import Reason, TenantDatabaseFailure
from streams.tenantdb.migrate import Migration, migrate, read_migrations
from streams.tenantdb.naming import MIGRATION_LOCK_SPACE, MIGRATIONS, lock_key
from streams.tenantdb.provision import Provisioned, provision
from streams.tenantdb.session import SessionLimits, open_session, short_session
from tests.integration.tenantdb import upstream
from tests.integration.tenantdb.conditions import eventually

pytestmark = pytest.mark.postgres

FILES = read_migrations()


async def run(database: Database, limits: SessionLimits, migrations: tuple[Migration, ...] = FILES) -> int:
    async with short_session(database, application_name=MIGRATIONS, limits=limits) as session:
        return await migrate(session, database, limits, migrations)


async def versions(superuser: Any) -> list[int]:
    rows = await superuser.fetch("select version from realtime.schema_migrations order by version")
    return [row["version"] for row in rows]


async def test_an_empty_database_gets_every_file_and_records_it(
    database: Database, superuser: Any, limits: SessionLimits
) -> None:
    assert await run(database, limits) == len(FILES)
    assert await versions(superuser) == [migration.version for migration in FILES]
    assert (await check(database, limits)).migrations_on_database == len(FILES)


async def test_the_table_of_migrations_is_the_platforms(
    database: Database, superuser: Any, limits: SessionLimits
) -> None:
    await run(database, limits)
    rows = await superuser.fetch(
        "select attname, format_type(atttypid, atttypmod) as type from pg_attribute "
        "where attrelid = 'realtime.schema_migrations'::regclass and attnum > 0 order by attnum"
    )
    assert [tuple(row) for row in rows] == [
        ("version", "bigint"),
        ("inserted_at", "timestamp(0) without time zone"),
    ]


async def test_a_second_run_finds_nothing_to_do(database: Database, superuser: Any, limits: SessionLimits) -> None:
    await run(database, limits)
    before = await upstream.shape(superuser)
    assert await run(database, limits) == 0
    assert await upstream.shape(superuser) == before


async def test_two_runners_at_once_apply_every_file_once(
    database: Database, superuser: Any, limits: SessionLimits
) -> None:
    ran = await asyncio.gather(*(run(database, limits) for _ in range(4)))
    assert sorted(ran) == [0, 0, 0, len(FILES)]
    assert await versions(superuser) == [migration.version for migration in FILES]


async def test_a_second_runner_waits_for_the_first(database: Database, superuser: Any, limits: SessionLimits) -> None:
    first = await open_session(database, application_name=MIGRATIONS, limits=limits)
    await migrate(first, database, limits, FILES[:1])
    second = asyncio.create_task(run(database, limits, FILES[:1]))
    await eventually(lambda: somebody_waits(superuser), "the second runner waits")
    assert not second.done()
    await first.close()
    assert await second == 0


async def somebody_waits(superuser: Any) -> bool:
    return bool(
        await superuser.fetchval(
            "select count(*) from pg_stat_activity "
            "where datname = current_database() and wait_event_type = 'Lock' and wait_event = 'advisory'"
        )
    )


async def test_a_runner_that_waits_too_long_gives_up(database: Database, superuser: Any) -> None:
    await superuser.execute(f"select pg_advisory_lock({lock_key(MIGRATION_LOCK_SPACE, '')})")
    with pytest.raises(TenantDatabaseFailure, match="another migration runner") as caught:
        await run(database, SessionLimits(migration_lock_ms=50))
    assert (caught.value.reason, caught.value.sqlstate) == (Reason.MIGRATIONS_FAILED, "55P03")


async def test_a_failing_file_leaves_no_trace_and_is_named(
    database: Database, superuser: Any, limits: SessionLimits
) -> None:
    files = (
        Migration(1, "0001_good.sql", "create table realtime.good ()"),
        Migration(2, "0002_bad.sql", "create table realtime.bad (); select 1 / 0;"),
        Migration(3, "0003_never.sql", "create table realtime.never ()"),
    )
    with pytest.raises(TenantDatabaseFailure) as caught:
        await run(database, limits, files)
    failure = caught.value
    assert (failure.reason, failure.code) == (Reason.MIGRATIONS_FAILED, "MigrationsFailedToRun")
    assert "0002_bad.sql" in str(failure)
    assert "22012" in str(failure)
    assert await versions(superuser) == [1]
    tables = await superuser.fetch("select relname from pg_class where relnamespace = 'realtime'::regnamespace")
    assert {"good"} == {row["relname"] for row in tables} & {"good", "bad", "never"}


async def test_a_file_that_failed_runs_once_it_is_mended(
    database: Database, superuser: Any, limits: SessionLimits
) -> None:
    with pytest.raises(TenantDatabaseFailure):
        await run(database, limits, (Migration(1, "0001_bad.sql", "select 1 / 0"),))
    assert await run(database, limits, (Migration(1, "0001_good.sql", "select 1"),)) == 1
    assert await versions(superuser) == [1]


async def test_a_restored_backup_gets_the_files_that_it_lacks_and_no_others(
    database: Database, postgres: PostgresServer, limits: SessionLimits
) -> None:
    behind = 2
    await run(database, limits, FILES[:-behind])
    administrator = await postgres.superuser_connection()
    await administrator.execute(f"create database {database.name}_backup template {database.name}")
    assert await run(database, limits) == behind
    await administrator.execute(f"drop database {database.name}")
    await administrator.execute(f"alter database {database.name}_backup rename to {database.name}")
    await administrator.close()
    assert (await check(database, limits)).migrations_on_database == len(FILES) - behind
    assert await run(database, limits) == behind
    assert (await check(database, limits)).migrations_on_database == len(FILES)


async def test_files_whose_records_were_lost_run_again_and_change_nothing(
    database: Database, superuser: Any, limits: SessionLimits
) -> None:
    await run(database, limits)
    before = await upstream.shape(superuser)
    await superuser.execute("delete from realtime.schema_migrations")
    assert (await check(database, limits)).migrations_on_database == 0
    assert await run(database, limits) == len(FILES)
    after = await upstream.shape(superuser)
    assert {**after, "functions": []} == {**before, "functions": []}
    assert [function[2:] for function in after["functions"]] == [function[2:] for function in before["functions"]]


async def test_what_is_recorded_and_not_known_is_left_alone(
    database: Database, superuser: Any, limits: SessionLimits
) -> None:
    await run(database, limits, FILES[:1])
    unknown = [5000, 20991231235959]
    await superuser.executemany("insert into realtime.schema_migrations values ($1, now())", [(v,) for v in unknown])
    assert await run(database, limits) == len(FILES) - 1
    assert await versions(superuser) == [*(migration.version for migration in FILES), *unknown]
    assert (await check(database, limits)).migrations_on_database == len(FILES) + len(unknown)
    assert await run(database, limits) == 0


async def test_a_database_in_the_platforms_last_form_is_left_as_it_is(
    database: Database, superuser: Any, limits: SessionLimits
) -> None:
    await upstream.build(superuser)
    before = await upstream.shape(superuser)
    assert await run(database, limits) == len(FILES)
    assert await upstream.shape(superuser) == before
    assert (await check(database, limits)).migrations_on_database == len(upstream.VERSIONS) + len(FILES)


async def test_a_table_of_an_earlier_form_is_brought_to_the_last(
    database: Database, superuser: Any, limits: SessionLimits
) -> None:
    await upstream.build(superuser, through=20251120215549)
    await run(database, limits)
    after = await upstream.shape(superuser)
    assert "binary_payload" in {column[0] for column in after["columns"]}
    assert "messages_payload_exclusive" in {constraint[1] for constraint in after["constraints"]}
    assert {function[2] for function in after["functions"]} == {"topic", "send", "send_binary", "broadcast_changes"}
    assert after["table"][0][1:] == ("supabase_realtime_admin", True)


async def test_a_table_that_is_not_partitioned_is_refused_with_advice(
    database: Database, superuser: Any, limits: SessionLimits
) -> None:
    await superuser.execute("create schema realtime")
    await superuser.execute("create table realtime.messages (id bigint, topic text)")
    await superuser.execute("insert into realtime.messages values (1, 'kept')")
    with pytest.raises(TenantDatabaseFailure, match="partitioned by range of inserted_at"):
        await run(database, limits)
    assert await superuser.fetchval("select topic from realtime.messages") == "kept"


async def test_provisioning_tells_what_it_did(database: Database, limits: SessionLimits, today: dt.date) -> None:
    first = await provision(database, today, limits)
    assert (first.migrations_run, len(first.partitions), first.partitions_failed) == (len(FILES), 5, ())
    second = await provision(database, today, limits)
    assert second == Provisioned(0, len(FILES), first.partitions, (), second.took_ms)


async def test_provisioning_twice_at_once_is_provisioning_once(
    database: Database, limits: SessionLimits, today: dt.date
) -> None:
    both = await asyncio.gather(*(provision(database, today, limits) for _ in range(2)))
    assert sorted(provisioned.migrations_run for provisioned in both) == [0, len(FILES)]
    assert both[0].partitions == both[1].partitions
    assert both[0].partitions_failed == both[1].partitions_failed == ()
