"""A database that goes away: the tenant has a window to get it back, all of it, and is stopped at its end."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from streams.devstack.postgres import PostgresServer
from streams.wire.event import event_id
from tests.integration.life.conftest import SHORT
from tests.integration.life.region import Region
from tests.integration.life.stage import READY, Stage, ended
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.asyncio(loop_scope="session")]

WINDOW = timedelta(minutes=10)
SHORT_WINDOW = timedelta(milliseconds=SHORT["database_recovery_window_ms"])


async def test_a_lost_database_is_tried_at_once_when_an_operator_asks_for_it(calm: Stage, calm_region: Region) -> None:
    tenant = await calm.connected()
    await tenant.locked_out()
    await tenant.end_sessions()
    lost, refused = await tenant.next("database.lost", "database.lost")
    assert lost.data.recovery_until == refused.data.recovery_until == lost.time + WINDOW
    await until(lambda: bool(calm_region.logged("database.unavailable", tenant.name)))
    status = await calm.client.status(tenant.name)
    assert (status.lifecycle, status.database, status.why.code) == ("ready", "recovering", "recovering")
    assert "UnableToConnectToTenantDatabase" in status.why.what
    assert "SQLSTATE 28000" in status.why.what
    assert status.why.since_event == event_id(tenant.name, refused.sequence, refused.claim)
    assert status.deadlines == {"database_recovery": lost.time + WINDOW}
    assert (await calm_region.pages.figures("tenant_connect_windows_open"))["database_recovery",] >= 1
    await tenant.locked_out(out=False)
    # By itself it is tried again in a minute.
    await calm.client.retry(tenant.name, reason="it is back", author="ada")
    retried, _ = await tenant.next("connect.retried", "database.restored")
    assert (retried.data.reason, retried.data.author) == ("it is back", "ada")
    assert (await calm.client.status(tenant.name)).deadlines == {}


async def test_a_database_that_is_lost_right_after_it_was_restored_is_left_alone_for_a_while(calm: Stage) -> None:
    tenant, other = await calm.connected(), await calm.connected()
    await tenant.end_sessions()
    await tenant.next("database.lost", "database.restored")
    await tenant.end_sessions()
    await tenant.next("database.lost")
    await other.end_sessions()
    await other.next("database.lost", "database.restored")
    # By itself it is tried again in a minute.
    await calm.client.retry(tenant.name, reason="it is back", author="ada")
    await tenant.next("connect.retried", "database.restored")


async def test_a_database_is_restored_once_every_pooled_session_is_back(hasty: Stage, hasty_region: Region) -> None:
    tenant = await hasty.used(pool_size=3)
    before = await tenant.sessions()
    assert len(before) == 4
    await tenant.sql(f'alter role "{tenant.role}" connection limit 3')
    await tenant.end_sessions(1)
    await tenant.next("database.lost")
    await until(lambda: len(hasty_region.logged("database.unavailable", tenant.name)) >= 2)
    assert (await hasty.client.status(tenant.name)).database == "recovering"
    await tenant.sql(f'alter role "{tenant.role}" connection limit -1')
    await tenant.reaches("database.restored")
    after = await tenant.sessions()
    assert len(after) == 4
    assert not before.keys() & after.keys()


async def test_a_database_that_stays_away_stops_its_tenant_which_is_connected_again_for_its_users(
    hasty: Stage,
) -> None:
    tenant = await hasty.used()
    await tenant.locked_out()
    await tenant.end_sessions()
    (lost,) = await tenant.next("database.lost")
    assert lost.data.recovery_until == lost.time + SHORT_WINDOW
    stopping = await tenant.reaches("connect.stopping")
    stopped, again = await tenant.next("connect.stopped", "connect.requested")
    exceeded = ("database_recovery_window_exceeded", "DatabaseConnectionRecoveryWindowExceeded")
    assert ended(stopping) == ended(stopped) == exceeded
    assert "last with UnableToConnectToTenantDatabase" in stopped.data.message
    assert stopping.causation == "timer:database_recovery"
    assert stopping.time >= lost.data.recovery_until
    assert again.data.requested_by == "reconnector"
    assert ended(await tenant.reaches("connect.stopped"))[0] == "database_unavailable"
    await tenant.locked_out(out=False)
    await tenant.reaches("connect.provisioned")
    assert (await hasty.client.status(tenant.name)).database == "up"


async def test_a_server_that_is_stopped_and_started_is_restored_for_all_its_tenants(
    hasty: Stage, small_server: PostgresServer
) -> None:
    tenants = [await hasty.used(server=small_server) for _ in range(2)]
    await asyncio.to_thread(small_server.stop)
    for tenant in tenants:
        (lost,) = await tenant.next("database.lost")
        assert lost.data.code == "DatabaseConnectionDown"
    await asyncio.to_thread(small_server.start)
    for tenant in tenants:
        await tenant.reaches("database.restored")
        assert len(await tenant.sessions()) == 2


async def test_a_password_that_is_rotated_breaks_nothing_that_is_open_and_its_entry_ends_a_recovery(
    calm: Stage,
) -> None:
    tenant = await calm.connected()
    await tenant.sql(f"alter role \"{tenant.role}\" password 'rotated'")
    assert (await calm.client.status(tenant.name)).database == "up"
    await tenant.end_sessions()
    await tenant.next("database.lost")
    await tenant.put(database={"password": "rotated"})
    stopping = await tenant.reaches("connect.stopping")
    await tenant.next("connect.stopped", *READY)
    assert (stopping.data.reason, stopping.data.message) == ("requested", "the settings changed")


async def test_a_database_that_is_replaced_while_it_is_away_is_checked_and_migrated_before_it_is_used(
    hasty: Stage,
) -> None:
    tenant = await hasty.used()
    await tenant.sql(f"create database {tenant.name}_2 owner {tenant.role}")
    await tenant.locked_out()
    await tenant.end_sessions()
    await tenant.next("database.lost")
    await tenant.put(database={"name": f"{tenant.name}_2"})
    await tenant.locked_out(out=False)
    await tenant.reaches("connect.provisioned")
    assert await tenant.in_database("select from realtime.messages") == []
