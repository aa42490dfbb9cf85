from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from streams.catalog.entry import Database
from streams.tenantdb.naming import REPLICATION, replication_session_name, session_name, slot_name
from streams.tenantdb.walsender import Backend, blocker_of, clear_leftovers, end_backend, log_standby_snapshot
from tests.integration.replication.place import connected
from tests.integration.tenantdb.conditions import eventually

pytestmark = pytest.mark.postgres

SLOT = slot_name("t1")
OTHER_SLOT = slot_name("t2")
WAIT_MS = 5_000


@asynccontextmanager
async def named(database: Database, name: str, slot: str | None = None) -> AsyncIterator[Any]:
    """A session under an application name, which may have a temporary slot."""
    session = await connected(database)
    await session.execute(f"set application_name = '{name}'")
    if slot is not None:
        await session.fetchval("select pg_create_logical_replication_slot($1, 'pgoutput', true)", slot)
    yield session
    if not session.is_closed():
        await session.close()


async def left(database: Database, superuser: Any, claim: int = 7) -> Backend | None:
    return await clear_leftovers(superuser, database, slot=SLOT, claim=claim, wait_ms=WAIT_MS)


async def is_there(superuser: Any, session: Any) -> bool:
    pid = session.get_server_pid()
    return bool(await superuser.fetchval("select count(*) from pg_stat_activity where pid = $1", pid))


@pytest.mark.parametrize("claim", [3, 7])
@pytest.mark.parametrize("slot", [SLOT, None])
async def test_a_session_of_an_older_or_the_same_claim_is_ended_and_waited_for(
    database: Database, superuser: Any, claim: int, slot: str | None
) -> None:
    async with named(database, replication_session_name(claim), slot) as session:
        assert await left(database, superuser) is None
        assert not await is_there(superuser, session)
    assert await superuser.fetchval("select count(*) from pg_replication_slots where slot_name = $1", SLOT) == 0


@pytest.mark.parametrize("name", [replication_session_name(9), REPLICATION])
async def test_a_session_that_is_not_ours_to_end_is_named(database: Database, superuser: Any, name: str) -> None:
    async with named(database, name) as session:
        assert await left(database, superuser) == Backend(session.get_server_pid(), name)
        assert await is_there(superuser, session)


async def test_other_sessions_and_another_tenants_stream_do_not_count(database: Database, superuser: Any) -> None:
    async with (
        named(database, session_name(3)) as pooled,
        named(database, "psql") as stranger,
        named(database, replication_session_name(3), OTHER_SLOT) as other,
    ):
        assert await left(database, superuser) is None
        assert all([await is_there(superuser, session) for session in (pooled, stranger, other)])


async def test_a_session_in_another_database_does_not_count(
    database: Database, superuser: Any, provisioned: Database
) -> None:
    elsewhere = provisioned.model_copy(update={"name": "postgres"})
    async with named(elsewhere, replication_session_name(3)) as session:
        assert await left(database, superuser) is None
        assert await is_there(superuser, session)


async def test_a_backend_is_ended_only_under_its_name(database: Database, superuser: Any) -> None:
    async with named(database, "psql") as session:
        pid = session.get_server_pid()
        await end_backend(superuser, database, Backend(pid, "another"), WAIT_MS)
        assert await is_there(superuser, session)
        await end_backend(superuser, database, Backend(pid, "psql"), WAIT_MS)
        assert not await is_there(superuser, session)


async def test_a_backend_that_waits_for_nobody_has_no_blocker(database: Database, superuser: Any) -> None:
    assert await blocker_of(superuser, database, superuser.get_server_pid()) is None


async def test_whoever_makes_a_slot_is_told_whose_transaction_it_waits_for(database: Database, superuser: Any) -> None:
    async with named(database, "slow writer") as writer, named(database, "x") as making:
        await writer.execute("begin")
        await writer.fetchval("select pg_current_xact_id()")
        statement = asyncio.create_task(
            making.fetchval("select pg_create_logical_replication_slot($1, 'pgoutput', true)", SLOT)
        )
        pid, blocker = making.get_server_pid(), f"pid {writer.get_server_pid()} (application 'slow writer')"

        async def blocked() -> bool:
            found = await blocker_of(superuser, database, pid)
            return found is not None and found.startswith(blocker) and "transaction open for" in found

        await eventually(blocked, "the slow writer is named")
        await writer.execute("commit")
        await statement


async def test_a_snapshot_is_logged_where_that_is_allowed(database: Database, superuser: Any) -> None:
    before = await superuser.fetchval("select pg_current_wal_insert_lsn()")
    assert await log_standby_snapshot(superuser, database)
    assert await superuser.fetchval("select pg_current_wal_insert_lsn()") > before
    async with named(database, "x") as session:
        role = f"plain_{database.name}"
        await superuser.execute(f"create role {role}")
        await session.execute(f"set role {role}")
        assert not await log_standby_snapshot(session, database)
        await session.execute("reset role")
        await superuser.execute(f"drop role {role}")
