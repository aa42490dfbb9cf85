"""Health: asked for at any time, it starts no connection; a database that nobody uses is brought up to date."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from statemachine.errors import TenantNotFound
from streams.catalog.validation import validate
from streams.tenantdb.migrate import migrate, read_migrations
from streams.tenantdb.naming import MIGRATION_LOCK_SPACE, lock_key
from streams.tenantdb.partitions import partition_name
from streams.tenantdb.session import SessionLimits
from tests.integration.life.region import Region
from tests.integration.life.stage import READY, Stage, refused
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.asyncio(loop_scope="session")]

FILES = len(read_migrations())


async def test_nobody_is_healthy_whom_the_catalog_does_not_know(calm: Stage) -> None:
    assert isinstance(await refused(calm.client.check_health("nobody")), TenantNotFound)
    assert (await calm.client.status("nobody")).sequence == 0


async def test_an_unused_tenant_is_healthy_once_its_database_was_migrated_without_a_connection(calm: Stage) -> None:
    tenant = await calm.tenant()
    found = await calm.client.check_health(tenant.name)
    assert (found.healthy, found.db_connected, found.migrations_pending) == (False, False, True)
    (finished,) = await tenant.next("migrations.finished")
    assert (finished.data.migrations_run, finished.data.migrations_on_database) == (FILES, FILES)
    found = await calm.client.check_health(tenant.name)
    assert (found.healthy, found.db_connected, found.migrations_pending) == (True, False, False)
    assert await tenant.sessions() == {}
    assert (await calm.client.status(tenant.name)).why.code == "never_connected"


async def test_a_connected_tenant_is_healthy_and_tells_its_users_and_rows(calm: Stage, calm_region: Region) -> None:
    tenant = await calm.tenant(mode="durable")
    await calm.client.connect(tenant.name, wait="streaming")
    await tenant.is_used(3)
    await tenant.next(*READY, "replication.started", "occupancy.used")
    found = await calm.client.check_health(tenant.name)
    assert (found.healthy, found.db_connected, found.replication_connected) == (True, True, True)
    assert (found.connected_cluster, found.region, found.node) == (3, "local", "w1")
    for machine, state in (("lifecycle", "ready"), ("database", "up"), ("replication", "streaming")):
        assert (await calm_region.pages.figures(f"tenant_connect_tenants_{machine}"))[state,] >= 1


async def test_migrations_that_another_runner_applied_after_the_check_count_too(calm: Stage) -> None:
    tenant = await calm.tenant()
    session = await tenant.administrator()
    await session.execute(f"select pg_advisory_lock({lock_key(MIGRATION_LOCK_SPACE, '')})")
    connecting = asyncio.create_task(calm.client.connect(tenant.name))
    await tenant.reaches("connect.checked")
    database = validate(tenant.entry).database
    await session.execute(f'set role "{tenant.role}"')
    assert await migrate(session, database, SessionLimits(), read_migrations()) == FILES
    await session.close()
    await connecting
    (provisioned,) = await tenant.next("connect.provisioned")
    assert provisioned.data.migrations_run == FILES
    found = await calm.client.check_health(tenant.name)
    assert (found.healthy, found.migrations_pending) == (True, False)


async def test_a_day_that_cannot_be_made_without_a_connection_shows_too(calm: Stage) -> None:
    tenant = await calm.tenant()
    day = datetime.now(UTC).date() + timedelta(days=1)
    await tenant.in_database(f'create schema realtime authorization "{tenant.role}"')
    await tenant.in_database(f"create table realtime.{partition_name(day)} ()")
    await calm.client.check_health(tenant.name)
    _, failed = await tenant.next("migrations.finished", "partitions.failed")
    assert failed.data.day == day.isoformat()
    found = await calm.client.check_health(tenant.name)
    assert (found.healthy, found.migrations_pending, found.partitions_failed) == (False, False, (day.isoformat(),))
    assert (await calm.client.connect(tenant.name)).lifecycle == "ready"


async def test_a_connected_tenant_without_rows_is_healthy(calm: Stage) -> None:
    tenant = await calm.connected()
    found = await calm.client.check_health(tenant.name)
    assert (found.healthy, found.db_connected, found.replication_connected) == (True, True, False)


async def test_a_tenant_that_is_recovering_is_not_healthy(calm: Stage) -> None:
    tenant = await calm.connected()
    await tenant.locked_out()
    await tenant.end_sessions()
    await tenant.next("database.lost")
    found = await calm.client.check_health(tenant.name)
    assert (found.healthy, found.db_connected, found.connected_cluster) == (False, False, 0)


async def test_a_tenant_with_users_and_without_a_connection_is_not_healthy_and_is_not_migrated_for_that(
    calm: Stage,
) -> None:
    tenant = await calm.tenant()
    await tenant.is_used()
    await until(lambda: _is_used(calm, tenant.name))
    found = await calm.client.check_health(tenant.name)
    assert (found.healthy, found.connected_cluster, found.migrations_pending) == (False, 1, True)
    await calm.client.connect(tenant.name)
    await tenant.next(*READY)


async def test_the_database_of_a_tenant_that_an_operator_holds_is_left_alone(calm: Stage) -> None:
    held, other = await calm.tenant(), await calm.tenant()
    await calm.client.pause(held.name)
    for tenant in (held, other):
        assert not (await calm.client.check_health(tenant.name)).healthy
    await other.next("migrations.finished")
    assert await held.in_database("select from pg_namespace where nspname = 'realtime'") == []
    await calm.client.resume(held.name)
    await calm.client.check_health(held.name)
    await held.next("connect.paused", "connect.resumed", "migrations.finished")


async def test_a_stopped_tenant_is_healthy(calm: Stage) -> None:
    tenant = await calm.connected()
    await calm.client.shutdown(tenant.name)
    found = await calm.client.check_health(tenant.name)
    assert (found.healthy, found.db_connected, found.migrations_pending) == (True, False, False)


async def _is_used(stage: Stage, tenant: str) -> bool:
    return (await stage.client.status(tenant)).users > 0
