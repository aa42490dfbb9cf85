"""Another catalog entry: what a tenant is connected with connects it anew, and nothing else does."""

from __future__ import annotations

from typing import Any

import pytest

from streams.devstack.postgres import PostgresServer
from streams.devstack.tenant_database import Superuser, create_tenant_database
from tests.integration.life.stage import READY, Stage, Tenant

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.asyncio(loop_scope="session")]

ANEW = ("connect.stopping", "connect.stopped", *READY)


async def _is_connected_anew(tenant: Tenant, before: set[int]) -> None:
    stopping, *_ = await tenant.next(*ANEW)
    assert (stopping.data.reason, stopping.data.message) == ("requested", "the settings changed")
    assert stopping.data.reconnect
    assert not before & (await tenant.sessions()).keys()


@pytest.mark.parametrize("changed", [{"host": "localhost"}, {"pool_size": 3}, {"queue_target_ms": 100}])
async def test_a_tenant_is_connected_anew_with_another_database_part(calm: Stage, changed: dict[str, Any]) -> None:
    tenant = await calm.connected()
    before = set(await tenant.sessions())
    await tenant.put(database=changed)
    await _is_connected_anew(tenant, before)
    assert len(await tenant.sessions()) == 1 + changed.get("pool_size", 1)


async def test_a_tenant_is_connected_anew_as_another_user(calm: Stage) -> None:
    tenant = await calm.connected()
    await tenant.sql(f"create role {tenant.name}_2 login replication in role {tenant.role} password 'second'")
    before = set(await tenant.sessions())
    await tenant.put(database={"user": f"{tenant.name}_2", "password": "second"})
    await _is_connected_anew(tenant, before)


async def test_a_tenant_is_connected_anew_with_another_password(calm: Stage) -> None:
    tenant = await calm.connected()
    await tenant.sql(f"alter role {tenant.role} password 'rotated'")
    before = set(await tenant.sessions())
    await tenant.put(database={"password": "rotated"})
    await _is_connected_anew(tenant, before)


async def test_a_tenant_whose_database_is_on_another_server_now_is_connected_and_migrated_there(
    calm: Stage, small_server: PostgresServer
) -> None:
    tenant = await calm.connected()
    there = Superuser(small_server.host, small_server.port, small_server.user, small_server.password)
    made = await create_tenant_database(there, tenant.name)
    await tenant.put(database=made)
    await _is_connected_anew(tenant, set())
    assert await tenant.sessions() == {}
    tenant.server = small_server
    assert len(await tenant.sessions()) == 2


async def test_settings_that_do_not_work_are_told_by_how_the_new_connect_ends(calm: Stage) -> None:
    tenant = await calm.connected()
    await tenant.put(database={"tls": "require"})
    *_, stopped = await tenant.next("connect.stopping", "connect.stopped", "connect.requested", "connect.stopped")
    assert (stopped.data.reason, stopped.data.code) == ("database_unavailable", "UnableToConnectToTenantDatabase")
    assert "TLS require" in stopped.data.message


async def test_a_tenant_is_connected_anew_for_another_mode_of_replication(calm: Stage) -> None:
    tenant = await calm.connected()
    before = set(await tenant.sessions())
    await tenant.put(replication={"mode": "temporary"})
    await tenant.next(*ANEW, "replication.started")
    assert not before & (await tenant.sessions()).keys()
    await tenant.put(replication={"mode": "off"})
    await tenant.next(*ANEW)
    assert len(await tenant.sessions()) == 2


async def test_a_name_limits_and_a_region_that_is_served_by_the_same_workers_change_nothing(calm: Stage) -> None:
    tenant = await calm.connected()
    await tenant.put(name="Another name")
    await tenant.put(limits={"max_events_per_second": 7, "max_payload_kb": 10})
    await tenant.put(region="nearby")
    # The one after them is acted on, and it is the first.
    await tenant.put(suspended=True)
    stopping, _ = await tenant.next("connect.stopping", "connect.stopped")
    assert stopping.data.reason == "suspended"
