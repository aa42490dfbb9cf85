from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from streams.catalog.entry import Database
from streams.tenantdb.connection import OPENINGS_MAX, TenantConnection
from streams.tenantdb.failure import NewerClaimHoldsLock, Reason, TenantDatabaseFailure
from streams.tenantdb.naming import TENANT_LOCK_SPACE, lock_key, session_name
from streams.tenantdb.session import SessionLimits
from tests.integration.tenantdb.conditions import DEADLINE_SECONDS, eventually
from tests.integration.tenantdb.conftest import changed

pytestmark = pytest.mark.postgres

TENANT = "t1"
PASSWORD = "the password of an owner"

LOCKS_TO_CLEAN = 4_000
"""Advisory locks whose release takes longer than a millisecond."""


async def backends(superuser: Any, claim: int) -> set[int]:
    rows = await superuser.fetch(
        "select pid from pg_stat_activity where datname = current_database() and application_name = $1",
        session_name(claim),
    )
    return {row["pid"] for row in rows}


async def lock_holders(superuser: Any) -> set[int]:
    rows = await superuser.fetch(
        "select pid from pg_locks join pg_database on pg_database.oid = database "
        "where locktype = 'advisory' and granted and datname = current_database()"
    )
    return {row["pid"] for row in rows}


async def opened(database: Database, claim: int, limits: SessionLimits, tenant: str = TENANT) -> TenantConnection:
    return await TenantConnection.open(database, tenant=tenant, claim=claim, limits=limits)


async def is_lost(connection: TenantConnection) -> bool:
    async with asyncio.timeout(DEADLINE_SECONDS):
        return await connection.lost.wait()


async def test_an_open_connection_is_a_lock_and_one_pooled_session(
    database: Database, superuser: Any, limits: SessionLimits
) -> None:
    connection = await opened(database, 5, limits)
    pids = connection.backend_pids()
    assert len(pids) == 2
    assert set(pids) == await backends(superuser, 5)
    assert {pids[0]} == await lock_holders(superuser)
    await connection.close()


async def test_an_open_pool_has_all_of_its_sessions_and_no_more(
    database: Database, superuser: Any, limits: SessionLimits
) -> None:
    size = OPENINGS_MAX + 2
    connection = await opened(changed(database, pool_size=size, queue_target_ms=50), 5, limits)
    assert len(await backends(superuser, 5)) == size + 1
    async with contextlib.AsyncExitStack() as held:
        lent = [await held.enter_async_context(connection.session()) for _ in range(size)]
        assert len({session.get_server_pid() for session in lent}) == size
        with pytest.raises(TenantDatabaseFailure, match=f"Waiting 50 ms for one of {size} pooled sessions"):
            async with connection.session():
                pass
    assert len(await backends(superuser, 5)) == size + 1
    assert not connection.lost.is_set()
    await connection.close()


async def test_a_session_that_takes_longer_to_clean_than_to_wait_for_is_kept(
    database: Database, limits: SessionLimits
) -> None:
    connection = await opened(changed(database, queue_target_ms=1), 5, limits)
    for _ in range(20):
        async with connection.session() as session:
            await session.execute("select pg_advisory_lock(key) from generate_series(1, $1) as key", LOCKS_TO_CLEAN)
    assert not connection.lost.is_set()
    await connection.close()


async def test_a_pool_of_which_one_session_cannot_be_opened_is_not_open(
    database: Database, superuser: Any, limits: SessionLimits
) -> None:
    owner = await limited(superuser, database, sessions=3)
    with pytest.raises(TenantDatabaseFailure) as caught:
        await opened(changed(owner, pool_size=3), 5, limits)
    assert (caught.value.reason, caught.value.sqlstate) == (Reason.TOO_MANY_CONNECTIONS, "53300")
    await eventually(lambda: no_backends(superuser, 5), "all backends of the claim are gone")
    assert not await lock_holders(superuser)


async def test_after_a_loss_all_sessions_are_opened_again_or_none(
    database: Database, superuser: Any, limits: SessionLimits
) -> None:
    owner = changed(await limited(superuser, database, sessions=4), pool_size=3)
    first = await opened(owner, 5, limits)
    await superuser.execute(f"select pg_terminate_backend({first.backend_pids()[2]})")
    await is_lost(first)
    await first.close()
    await eventually(lambda: no_backends(superuser, 5), "all backends of the lost connection are gone")
    await superuser.execute(f"alter role {owner.user} connection limit 3")
    with pytest.raises(TenantDatabaseFailure):
        await opened(owner, 5, limits)
    await eventually(lambda: no_backends(superuser, 5), "nothing is left of the attempt")
    await superuser.execute(f"alter role {owner.user} connection limit 4")
    second = await opened(owner, 5, limits)
    assert len(second.backend_pids()) == 4
    assert set(second.backend_pids()) == await backends(superuser, 5)
    await second.close()


async def limited(superuser: Any, database: Database, sessions: int) -> Database:
    """The same entry with a role of its own, which may have so many sessions; the role goes with the database."""
    role = role_of(database)
    await superuser.execute(f"create role {role} login password '{PASSWORD}' connection limit {sessions}")
    return changed(database, user=role, password=PASSWORD)


def role_of(database: Database) -> str:
    return f"owner_{database.name}"


@pytest.fixture(autouse=True)
async def no_role_is_left(database: Database, superuser: Any) -> AsyncIterator[None]:
    yield
    await superuser.execute(f"drop role if exists {role_of(database)}")


async def test_close_leaves_no_backend(database: Database, superuser: Any, limits: SessionLimits) -> None:
    connection = await opened(database, 5, limits)
    await connection.close()
    await eventually(lambda: no_backends(superuser, 5), "all backends of the claim are gone")
    assert connection.backend_pids() == ()
    assert not connection.lost.is_set()


async def no_backends(superuser: Any, claim: int) -> bool:
    return not await backends(superuser, claim)


async def test_close_ends_statements_that_do_not_end(database: Database, superuser: Any) -> None:
    limits = SessionLimits(close_ms=200, statement_ms=120_000)
    connection = await opened(changed(database, pool_size=3), 5, limits)
    statements = [asyncio.create_task(sleep_in_the_pool(connection)) for _ in range(2)]
    await eventually(lambda: are_asleep(superuser, 2), "the statements run")
    await connection.close()
    await eventually(lambda: no_backends(superuser, 5), "all backends of the claim are gone")
    for outcome in await asyncio.gather(*statements, return_exceptions=True):
        assert isinstance(outcome, TenantDatabaseFailure)
    assert not connection.lost.is_set()


async def sleep_in_the_pool(connection: TenantConnection) -> None:
    async with connection.session() as session:
        await session.execute("select pg_sleep(100)")


async def are_asleep(superuser: Any, sessions: int) -> bool:
    asleep = await superuser.fetchval(
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'"
    )
    return int(asleep) == sessions


async def test_a_closed_connection_can_be_closed_again(database: Database, limits: SessionLimits) -> None:
    connection = await opened(database, 5, limits)
    await connection.close()
    await connection.close()
    assert connection.backend_pids() == ()


async def test_lost_is_set_when_the_locks_backend_ends(
    database: Database, superuser: Any, limits: SessionLimits
) -> None:
    connection = await opened(database, 5, limits)
    await superuser.execute(f"select pg_terminate_backend({connection.backend_pids()[0]})")
    assert await is_lost(connection)
    await connection.close()


async def test_lost_is_set_when_a_pooled_backend_ends(
    database: Database, superuser: Any, limits: SessionLimits
) -> None:
    connection = await opened(database, 5, limits)
    await superuser.execute(f"select pg_terminate_backend({connection.backend_pids()[1]})")
    assert await is_lost(connection)
    await connection.close()


async def test_a_lost_connection_opens_nothing_more(database: Database, superuser: Any, limits: SessionLimits) -> None:
    connection = await opened(database, 5, limits)
    await superuser.execute(f"select pg_terminate_backend({connection.backend_pids()[1]})")
    await is_lost(connection)
    with pytest.raises(TenantDatabaseFailure, match="nothing more is opened under claim 5"):
        async with connection.session():
            pass
    await connection.close()
    await eventually(lambda: no_backends(superuser, 5), "all backends of the claim are gone")


async def test_a_newer_claim_ends_the_older_ones_backends(
    database: Database, superuser: Any, limits: SessionLimits
) -> None:
    older = await opened(changed(database, pool_size=2), 5, limits)
    assert len(await backends(superuser, 5)) == 3
    newer = await opened(database, 9, limits)
    await eventually(lambda: no_backends(superuser, 5), "all backends of the older claim are gone")
    assert await lock_holders(superuser) == {newer.backend_pids()[0]}
    assert await is_lost(older)
    assert not newer.lost.is_set()
    await older.close()
    await newer.close()


async def test_an_older_claim_is_refused_and_leaves_nothing(
    database: Database, superuser: Any, limits: SessionLimits
) -> None:
    newer = await opened(database, 9, limits)
    with pytest.raises(NewerClaimHoldsLock) as caught:
        await opened(database, 5, limits)
    assert (caught.value.claim, caught.value.held_by) == (5, 9)
    await eventually(lambda: no_backends(superuser, 5), "all backends of the older claim are gone")
    assert not newer.lost.is_set()
    await newer.close()


async def test_an_earlier_session_of_the_same_claim_is_replaced(
    database: Database, superuser: Any, limits: SessionLimits
) -> None:
    earlier = await opened(database, 5, limits)
    later = await opened(database, 5, limits)
    assert await is_lost(earlier)
    await eventually(lambda: only(superuser, later), "the later connection's backends alone are left")
    await earlier.close()
    await later.close()


async def only(superuser: Any, connection: TenantConnection) -> bool:
    return await backends(superuser, connection.claim) == set(connection.backend_pids())


async def test_a_holder_that_is_none_of_ours_is_left_alone_and_named(
    database: Database, superuser: Any, limits: SessionLimits
) -> None:
    await superuser.execute("set application_name = 'psql'")
    await superuser.execute(f"select pg_advisory_lock({lock_key(TENANT_LOCK_SPACE, TENANT)})")
    with pytest.raises(TenantDatabaseFailure, match="application name 'psql'") as caught:
        await opened(database, 5, limits)
    assert caught.value.reason is Reason.UNAVAILABLE
    assert await superuser.fetchval("select true")


async def test_two_tenants_on_one_database_do_not_meet(
    database: Database, superuser: Any, limits: SessionLimits
) -> None:
    first = await opened(database, 5, limits, tenant="t1")
    second = await opened(database, 6, limits, tenant="t2")
    assert len(await lock_holders(superuser)) == 2
    assert not first.lost.is_set()
    await first.close()
    await second.close()


async def test_of_many_claims_at_once_the_newest_is_left(
    database: Database, superuser: Any, limits: SessionLimits
) -> None:
    claims = range(1, 9)
    outcomes = await asyncio.gather(*(opened(database, claim, limits) for claim in claims), return_exceptions=True)
    await opened_last(superuser, outcomes)
    for outcome in outcomes:
        if isinstance(outcome, TenantConnection):
            await outcome.close()


async def opened_last(superuser: Any, outcomes: list[TenantConnection | BaseException]) -> None:
    newest = outcomes[-1]
    assert isinstance(newest, TenantConnection)
    assert await lock_holders(superuser) == {newest.backend_pids()[0]}
    for outcome in outcomes[:-1]:
        if isinstance(outcome, TenantConnection):
            assert await is_lost(outcome)
        else:
            assert isinstance(outcome, NewerClaimHoldsLock | TenantDatabaseFailure)


async def test_a_pool_that_cannot_be_opened_lets_the_lock_go(
    database: Database, superuser: Any, limits: SessionLimits
) -> None:
    with pytest.raises(TenantDatabaseFailure) as caught:
        await opened(await limited(superuser, database, sessions=1), 5, limits)
    assert caught.value.reason is Reason.TOO_MANY_CONNECTIONS
    await eventually(lambda: no_backends(superuser, 5), "all backends of the claim are gone")
    assert not await lock_holders(superuser)


async def test_a_cancelled_opening_leaves_nothing(database: Database, superuser: Any, limits: SessionLimits) -> None:
    for steps in range(0, 60, 3):
        opening = asyncio.create_task(opened(database, 5, limits))
        for _ in range(steps):
            await asyncio.sleep(0)
        opening.cancel()
        outcome = (await asyncio.gather(opening, return_exceptions=True))[0]
        if isinstance(outcome, TenantConnection):
            await outcome.close()
    await eventually(lambda: no_backends(superuser, 5), "all backends of the claim are gone")


async def test_a_session_of_a_pool_is_cleaned_when_it_is_given_back(database: Database, limits: SessionLimits) -> None:
    connection = await opened(database, 5, limits)
    async with connection.session() as session:
        await session.execute("set statement_timeout = 1")
    async with connection.session() as session:
        assert await session.fetchval("show statement_timeout") == "15s"
    await connection.close()


async def test_an_error_of_a_statement_is_translated_and_the_connection_kept(
    database: Database, limits: SessionLimits
) -> None:
    connection = await opened(database, 5, limits)
    with pytest.raises(TenantDatabaseFailure) as caught:
        async with connection.session() as session:
            await session.execute("select from no_such_table")
    assert caught.value.sqlstate == "42P01"
    assert isinstance(caught.value.__cause__, asyncpg.UndefinedTableError)
    async with connection.session() as session:
        assert await session.fetchval("select 1") == 1
    assert not connection.lost.is_set()
    await connection.close()
