"""Tenants whose rows are streamed, and what their servers have of it."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from streams.devstack.postgres import PostgresServer
from streams.tenantdb.naming import REPLICATION, slot_name
from tests.integration.life.region import Region
from tests.integration.life.stage import Stage, Tenant

UNLIMITED: Final = {"max_events_per_second": 1_000_000_000}


async def tenant_of(
    stage: Stage, *, mode: str = "durable", server: PostgresServer | None = None, **limits: int
) -> Tenant:
    """A tenant in the catalog that somebody uses, and that may write as much as it likes unless limits are given."""
    tenant = await stage.tenant(mode=mode, server=server)
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
