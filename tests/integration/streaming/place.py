"""Tenants whose rows are streamed, and what their servers have of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from streams.catalog.validation import validate
from streams.devstack.postgres import PostgresServer
from streams.devstack.tenant_database import Superuser, create_tenant_database
from streams.tenantdb.naming import REPLICATION, slot_name
from streams.tenantdb.provision import provision
from streams.tenantdb.session import SessionLimits
from tests.integration.life.region import Region
from tests.integration.life.stage import Stage, Tenant

UNLIMITED: Final = {"max_events_per_second": 1_000_000_000}
NOTHING_ELSE: Final[Mapping[str, Any]] = MappingProxyType({})


async def tenant_of(
    stage: Stage,
    *,
    mode: str = "durable",
    server: PostgresServer | None = None,
    database: Mapping[str, Any] = NOTHING_ELSE,
    **limits: int,
) -> Tenant:
    """A tenant in the catalog that somebody uses, and that may write as much as it likes unless limits are given."""
    tenant = await stage.tenant(mode=mode, server=server, **database)
    await tenant.put(limits={**UNLIMITED, **limits})
    await tenant.is_used()
    return tenant


async def streamed(stage: Stage, **given: Any) -> Tenant:
    """The same, and its rows are streamed; what it was told up to then is looked at."""
    tenant = await tenant_of(stage, **given)
    await stage.client.connect(tenant.name, wait="streaming")
    await tenant.reaches("replication.started")
    return tenant


async def slots(tenant: Tenant) -> list[str]:
    """Names of the replication slots of its database: what holds WAL."""
    rows = await tenant.sql("select slot_name from pg_replication_slots where database = $1", tenant.name)
    return [row["slot_name"] for row in rows]


async def walsenders(tenant: Tenant) -> list[int]:
    """Process ids of the sessions that stream its rows."""
    return [pid for pid, name in (await tenant.sessions()).items() if name.startswith(REPLICATION)]


async def end_walsenders(tenant: Tenant) -> None:
    """The server ends the sessions that stream its rows."""
    for pid in await walsenders(tenant):
        await tenant.sql("select pg_terminate_backend($1)", pid)


def own_slot(tenant: Tenant) -> str:
    """Name of the slot that its rows are streamed from."""
    return slot_name(tenant.name)


async def point_of(region: Region, tenant: Tenant) -> bytes | None:
    """The tenant's point to resume from, as the topic has it; None where it has none."""
    records = await asyncio.to_thread(region.scene.records, region.scene.topics.positions)
    found = [record.value for record in records if record.key == tenant.name.encode()]
    return found[-1] if found else None


async def twin_of(stage: Stage, tenant: Tenant, server: PostgresServer) -> Tenant:
    """The tenant's place on another server, migrated: a client that comes by its address cannot tell it apart."""
    await create_tenant_database(Superuser(server.host, server.port, server.user, server.password), tenant.name)
    place = {**tenant.entry["database"], "host": server.host, "port": server.port}
    twin = Tenant(stage, server, {**tenant.entry, "database": place})
    await twin.sql(f"alter role \"{tenant.role}\" password '{place['password']}'")
    await provision(validate(twin.entry).database, datetime.now(UTC).date(), SessionLimits())
    return twin
