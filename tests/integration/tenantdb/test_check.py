from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from streams.catalog.entry import Database
from streams.devstack.postgres import PostgresServer
from streams.tenantdb.check import Checked, check
from streams.tenantdb.failure import Reason, TenantDatabaseFailure
from streams.tenantdb.naming import PROBE, session_name
from streams.tenantdb.session import SessionLimits, open_session
from tests.integration.tenantdb.conditions import eventually

pytestmark = pytest.mark.postgres

REQUIRED_BY_DEFAULT = 10
ATTEMPTS_MAX = 50

# Told once more in other words than the code's, so that a mistake there is not repeated here.
AVAILABLE = """
select current_setting('max_connections')::int
       - (select count(*) from pg_stat_activity
           where application_name <> 'realtime_connect' and application_name <> 'realtime_connect_probe'
             and application_name not like 'realtime\\_connect:%')
"""


class Crowd:
    """Sessions of somebody else, which fill the server."""

    def __init__(self, database: Database, superuser: Any) -> None:
        self._database = database
        self._superuser = superuser
        self._sessions: list[Any] = []

    async def available(self) -> int:
        return int(await self._superuser.fetchval(AVAILABLE))

    async def leave(self, available: int) -> None:
        """Come or go until so many connections are free."""
        for _ in range(ATTEMPTS_MAX):
            difference = await self.available() - available
            if difference == 0:
                return
            if difference > 0:
                await asyncio.gather(*(self._come() for _ in range(difference)))
            else:
                leaving = [self._sessions.pop() for _ in range(-difference)]
                await asyncio.gather(*(session.close() for session in leaving))
        raise AssertionError(f"the server never had {available} connections free")

    async def _come(self) -> None:
        self._sessions.append(
            await asyncpg.connect(
                host=self._database.host,
                port=self._database.port,
                user=self._database.user,
                password=self._database.password.get_secret_value(),
                database=self._database.name,
            )
        )

    async def fill(self) -> None:
        with contextlib.suppress(asyncpg.TooManyConnectionsError):
            while True:
                await self._come()

    async def disperse(self) -> None:
        await asyncio.gather(*(session.close() for session in self._sessions))


@pytest.fixture
async def crowd(database: Database, superuser: Any) -> AsyncIterator[Crowd]:
    crowd = Crowd(database, superuser)
    yield crowd
    await crowd.disperse()


async def checked_with(
    crowd: Crowd, database: Database, limits: SessionLimits, available: int
) -> Checked | TenantDatabaseFailure:
    """Check while exactly so many are free; background processes come and go, so it may take more than one attempt."""
    for _ in range(ATTEMPTS_MAX):
        await crowd.leave(available)
        result = await outcome(database, limits)
        if await crowd.available() == available:
            return result
    raise AssertionError("the server is never quiet")


async def outcome(database: Database, limits: SessionLimits) -> Checked | TenantDatabaseFailure:
    try:
        return await check(database, limits)
    except TenantDatabaseFailure as failure:
        return failure


async def test_one_more_free_than_required_is_enough(crowd: Crowd, database: Database, limits: SessionLimits) -> None:
    result = await checked_with(crowd, database, limits, REQUIRED_BY_DEFAULT + 1)
    assert isinstance(result, Checked)
    assert (result.available, result.required) == (REQUIRED_BY_DEFAULT + 1, REQUIRED_BY_DEFAULT)


async def test_as_many_free_as_required_is_too_little(crowd: Crowd, database: Database, limits: SessionLimits) -> None:
    result = await checked_with(crowd, database, limits, REQUIRED_BY_DEFAULT)
    assert isinstance(result, TenantDatabaseFailure)
    assert (result.reason, result.code) == (Reason.TOO_MANY_CONNECTIONS, "DatabaseLackOfConnections")
    assert "10 connections free, and more than 10 are needed" in str(result)


async def test_a_larger_pool_requires_more(crowd: Crowd, database: Database, limits: SessionLimits) -> None:
    larger = database.model_copy(update={"pool_size": 21})  # 95 % of 30 is 28.5
    assert isinstance(await checked_with(crowd, larger, limits, 29), TenantDatabaseFailure)
    assert isinstance(await checked_with(crowd, larger, limits, 30), Checked)


async def test_a_server_with_no_connection_left_has_too_many_connections(
    crowd: Crowd, database: Database, limits: SessionLimits
) -> None:
    await crowd.fill()
    failure = await outcome(database, limits)
    assert isinstance(failure, TenantDatabaseFailure)
    assert (failure.reason, failure.code) == (Reason.TOO_MANY_CONNECTIONS, "DatabaseLackOfConnections")
    assert failure.sqlstate == "53300"


@pytest.mark.parametrize(("name", "counted"), [(session_name(12), 0), ("realtime_connect", 0), (PROBE, 0), ("x", 1)])
async def test_own_sessions_are_not_counted_as_used(
    crowd: Crowd, database: Database, limits: SessionLimits, name: str, counted: int
) -> None:
    await crowd.leave(40)
    session = await open_session(database, application_name=name, limits=limits)
    try:
        result = await checked_with_sessions(crowd, database, limits, 40 - counted)
    finally:
        await session.close()
    assert result.available == 40 - counted


async def checked_with_sessions(crowd: Crowd, database: Database, limits: SessionLimits, available: int) -> Checked:
    for _ in range(ATTEMPTS_MAX):
        result = await check(database, limits)
        if await crowd.available() == available:
            return result
    raise AssertionError(f"{available} connections were never free")


async def test_a_database_without_migrations_has_none(database: Database, limits: SessionLimits) -> None:
    assert (await check(database, limits)).migrations_on_database == 0


async def test_migrations_are_the_rows_of_their_table(
    database: Database, superuser: Any, limits: SessionLimits
) -> None:
    await superuser.execute("create schema realtime")
    await superuser.execute("create table realtime.schema_migrations (version bigint)")
    await superuser.execute("insert into realtime.schema_migrations select * from generate_series(1, 83)")
    assert (await check(database, limits)).migrations_on_database == 83


async def test_a_check_that_gets_no_answer_is_given_up_by_its_bound_on_statements(
    provisioned: Database, superuser: Any, postgres: PostgresServer
) -> None:
    keeper = await postgres.superuser_connection(provisioned.name)
    async with keeper.transaction():
        await keeper.execute("lock table realtime.schema_migrations in access exclusive mode")
        checking = asyncio.create_task(outcome(provisioned, SessionLimits(statement_ms=500)))
        await eventually(lambda: probe_waits(superuser), "a session named for it waits for the table")
        failure = await checking
    await keeper.close()
    assert isinstance(failure, TenantDatabaseFailure)
    assert (failure.reason, failure.code) == (Reason.UNAVAILABLE, "UnableToConnectToTenantDatabase")
    assert failure.sqlstate == "57014"
    assert "Counting the migrations that ran" in str(failure)


async def probe_waits(superuser: Any) -> bool:
    waiting = await superuser.fetch(
        "select application_name from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    )
    return [row["application_name"] for row in waiting] == [PROBE]


async def test_the_probe_is_gone_after_the_check(database: Database, superuser: Any, limits: SessionLimits) -> None:
    checked = await check(database, limits)
    assert checked.took_ms >= 0
    await eventually(lambda: no_probe(superuser), "the probe's backend is gone")


async def no_probe(superuser: Any) -> bool:
    return not await superuser.fetchval("select count(*) from pg_stat_activity where application_name = $1", PROBE)
