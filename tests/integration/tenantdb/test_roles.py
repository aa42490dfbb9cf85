from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from streams.catalog.entry import Database
from streams.devstack.postgres import PostgresServer
from streams.tenantdb.failure import Reason, TenantDatabaseFailure
from streams.tenantdb.migrate import read_migrations
from streams.tenantdb.partitions import days_around
from streams.tenantdb.provision import provision
from streams.tenantdb.session import SessionLimits
from tests.integration.tenantdb.conditions import eventually
from tests.integration.tenantdb.conftest import changed, entry_of
from tests.integration.tenantdb.upstream import ROLES

pytestmark = pytest.mark.postgres

FILES = len(read_migrations())
DATABASES = 8
OWNER = "tenant_owner"
PASSWORD = "a tenant's password"


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server of this module's own, on which the roles can be missing."""
    server = PostgresServer(tmp_path_factory.mktemp("bare"), fsync=False)
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def administrator(bare: PostgresServer) -> AsyncIterator[Any]:
    session = await bare.superuser_connection()
    yield session
    await session.close()


@pytest.fixture
async def databases(bare: PostgresServer, administrator: Any) -> AsyncIterator[list[Database]]:
    """Databases of an ordinary owner, on a server that has none of the roles."""
    await administrator.execute(f"create role {OWNER} login password '{PASSWORD.replace(chr(39), chr(39) * 2)}'")
    names = [f"tenant_{number}" for number in range(DATABASES)]
    for name in names:
        await administrator.execute(f"create database {name} owner {OWNER}")
    entry = entry_of(bare, user=OWNER, password=PASSWORD)
    yield [changed(entry, name=name) for name in names]
    for name in names:
        await administrator.execute(f"drop database {name} with (force)")
    for role in (*ROLES, OWNER):
        await administrator.execute(f"drop role if exists {role}")


async def test_many_databases_of_a_new_server_are_provisioned_at_once(
    administrator: Any, databases: list[Database], limits: SessionLimits, today: dt.date
) -> None:
    # All of them create and grant the same roles, in the catalog that the databases of a server share.
    await administrator.execute(f"alter role {OWNER} createrole bypassrls")
    ran = await asyncio.gather(*(provision(database, today, limits) for database in databases))
    assert [provisioned.migrations_run for provisioned in ran] == [FILES] * DATABASES


async def test_a_role_that_another_database_makes_at_the_same_time_is_no_failure(
    bare: PostgresServer, administrator: Any, databases: list[Database], limits: SessionLimits, today: dt.date
) -> None:
    database = changed(databases[0], user=bare.user, password=bare.password)
    async with administrator.transaction():
        await administrator.execute(f"create role anon {ROLES['anon']}")
        provisioning = asyncio.create_task(provision(database, today, limits))
        await eventually(lambda: somebody_waits(administrator), "the migration waits for the other's role")
    assert (await provisioning).migrations_run == FILES


async def somebody_waits(administrator: Any) -> bool:
    return bool(
        await administrator.fetchval("select count(*) from pg_locks where not granted and locktype = 'transactionid'")
    )


async def test_an_owner_who_may_not_create_roles_is_told_which_to_ask_for(
    databases: list[Database], limits: SessionLimits, today: dt.date
) -> None:
    with pytest.raises(TenantDatabaseFailure) as caught:
        await provision(databases[0], today, limits)
    assert (caught.value.reason, caught.value.sqlstate) == (Reason.MIGRATIONS_FAILED, "42501")
    assert f"role anon is missing, and {OWNER} may not create it" in str(caught.value)
    assert "create role anon nologin noinherit" in str(caught.value)


async def test_an_owner_who_is_no_member_of_the_messages_owner_is_told_so(
    administrator: Any, databases: list[Database], limits: SessionLimits, today: dt.date
) -> None:
    await create_roles(administrator)
    with pytest.raises(TenantDatabaseFailure, match=f"grant supabase_realtime_admin to {OWNER}"):
        await provision(databases[0], today, limits)


async def test_an_owner_does_not_have_to_create_roles_that_are_there(
    administrator: Any, databases: list[Database], limits: SessionLimits, today: dt.date
) -> None:
    await create_roles(administrator)
    await administrator.execute(f"grant supabase_realtime_admin to {OWNER}")
    provisioned = await provision(databases[0], today, limits)
    assert provisioned.migrations_run == FILES
    assert (provisioned.partitions, provisioned.partitions_failed) == (days_around(today), ())


async def test_an_owner_who_may_create_roles_needs_nobody(
    administrator: Any, databases: list[Database], limits: SessionLimits, today: dt.date
) -> None:
    await administrator.execute(f"alter role {OWNER} createrole bypassrls")
    provisioned = await provision(databases[0], today, limits)
    assert (provisioned.partitions, provisioned.partitions_failed) == (days_around(today), ())
    again = await provision(databases[0], today + dt.timedelta(days=1), limits)
    assert again.partitions_failed == ()


async def create_roles(administrator: Any) -> None:
    for role, options in ROLES.items():
        await administrator.execute(f"create role {role} {options}")
