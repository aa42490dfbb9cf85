"""A tenant that is given up: nothing is left of its stream; what is written meanwhile is heard when it comes back."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

import pytest

from tests.integration.life.region import Region
from tests.integration.life.stage import READY, Stage, Tenant
from tests.integration.streaming.conftest import SHORT
from tests.integration.streaming.heard import Heard
from tests.integration.streaming.place import point_of, slots, streamed, tenant_of, walsenders
from tests.integration.streaming.writing import INSERT, write, writing
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.asyncio(loop_scope="session")]

STOPPED = ("connect.stopping", "connect.stopped")
OWN_NUMBER = "select pg_current_xact_id()::text"


async def nothing_left(tenant: Tenant) -> None:
    """Neither a session nor a lock, and no slot that would hold WAL."""
    assert (await tenant.sessions(), await tenant.locks(), await slots(tenant)) == ({}, 0, [])


async def test_rows_that_are_written_while_a_tenant_is_shut_down_are_heard_once_it_is_connected(
    stage: Stage, heard: Heard
) -> None:
    tenant = await streamed(stage)
    before = await write(tenant, 3)
    await heard.has(tenant.name, before)
    await stage.client.shutdown(tenant.name)
    await tenant.next(*STOPPED)
    await nothing_left(tenant)
    meanwhile = await write(tenant, 50)
    await stage.client.connect(tenant.name, wait="streaming")
    *_, started = await tenant.next(*READY, "occupancy.used", "replication.started")
    after = await write(tenant, 3)
    await heard.has(tenant.name, after)
    assert heard.ids(tenant.name) == [*before, *meanwhile, *after]
    assert started.data.resumed_from is not None
    assert started.data.backfilled >= len(meanwhile)


async def test_rows_that_are_written_while_a_tenant_is_stopped_because_nobody_uses_it_are_heard_once_somebody_does(
    stage: Stage, heard: Heard
) -> None:
    tenant = await streamed(stage)
    await tenant.is_used(0)
    stopped = await tenant.reaches("connect.stopped")
    assert stopped.data.reason == "idle"
    await nothing_left(tenant)
    ids = await write(tenant, 20)
    await tenant.is_used()
    await stage.client.connect(tenant.name, wait="streaming")
    await heard.has(tenant.name, ids)
    assert heard.ids(tenant.name) == ids


async def test_nothing_is_missing_over_many_stops_and_starts_under_writers(stage: Stage, heard: Heard) -> None:
    tenant = await streamed(stage)
    async with writing(tenant) as writers:
        for _ in range(5):
            await writers.more(30)
            await stage.client.shutdown(tenant.name)
            await tenant.next(*STOPPED)
            await nothing_left(tenant)
            await writers.more(30)
            await stage.client.connect(tenant.name, wait="streaming")
            await tenant.next(*READY, "occupancy.used", "replication.started")
    await heard.has(tenant.name, writers.committed)
    assert set(heard.ids(tenant.name)) == writers.committed


async def test_a_transaction_that_is_open_over_a_stop_and_a_start_is_heard(stage: Stage, heard: Heard) -> None:
    tenant = await streamed(stage)
    session = await tenant.administrator()
    row = str(uuid.uuid4())
    async with session.transaction():
        await session.execute(INSERT, row)
        await heard.has(tenant.name, await write(tenant))
        await stage.client.shutdown(tenant.name)
        await stage.client.connect(tenant.name)
        assert (await stage.client.status(tenant.name)).replication == "starting"
    await session.close()
    await heard.has(tenant.name, [row])
    await tenant.next(*STOPPED, *READY, "occupancy.used", "replication.started")


async def test_a_row_that_is_committed_while_a_slot_is_made_that_waits_for_others_is_heard(
    stage: Stage, heard: Heard
) -> None:
    tenant = await streamed(stage)
    writer, *others = [await tenant.administrator() for _ in range(4)]
    first, second, last = [session.transaction() for session in others]
    row = str(uuid.uuid4())
    begun = writer.transaction()
    await begun.start()
    await writer.execute("select now()")
    await stage.client.shutdown(tenant.name)
    await first.start()
    await others[0].fetchval(OWN_NUMBER)
    await stage.client.connect(tenant.name)
    await until(lambda: waits_for(tenant, others[0]))
    await writer.execute(INSERT, row)
    await begun.commit()
    await second.start()
    await others[1].fetchval(OWN_NUMBER)
    await first.rollback()
    await until(lambda: waits_for(tenant, others[1]))
    await last.start()
    await others[2].fetchval(OWN_NUMBER)
    # By now the server counts no commit yet: the end of the slot's snapshot lies before its beginning.
    await second.rollback()
    await tenant.next(*STOPPED, *READY, "occupancy.used", "replication.started")
    for session in (writer, *others):
        await session.close()
    await heard.has(tenant.name, [row])
    await stage.client.shutdown(tenant.name)
    await tenant.next(*STOPPED)


async def waits_for(tenant: Tenant, session: Any) -> bool:
    """Whether a slot of the tenant is being made that waits for the end of a session's transaction."""
    blocked = await tenant.sql(
        "select $1 = any(pg_blocking_pids(pid)) as by from unnest($2::integer[]) as pid",
        session.get_server_pid(),
        await walsenders(tenant),
    )
    return any(row["by"] for row in blocked)


async def test_a_stream_that_waits_for_a_transaction_is_given_up_and_nothing_is_left(stage: Stage) -> None:
    tenant = await streamed(stage)
    await stage.client.shutdown(tenant.name)
    await tenant.next(*STOPPED)
    session = await tenant.administrator()
    async with session.transaction():
        await session.fetchval(OWN_NUMBER)
        await stage.client.connect(tenant.name)
        assert (await stage.client.status(tenant.name)).replication == "starting"
        await stage.client.shutdown(tenant.name)
        await tenant.next(*READY, "occupancy.used", *STOPPED)
        await nothing_left(tenant)
    await session.close()


async def test_a_tenant_that_is_removed_leaves_no_point_to_resume_from(
    stage: Stage, heard: Heard, region: Region
) -> None:
    connected, stopped = await streamed(stage), await streamed(stage)
    for tenant in (connected, stopped):
        await heard.has(tenant.name, await write(tenant))
    await stage.client.shutdown(stopped.name)
    await stopped.next(*STOPPED)
    for tenant in (connected, stopped):
        assert await point_of(region, tenant) is not None
        await tenant.remove()
    await connected.next(*STOPPED)
    assert await point_of(region, connected) is None
    await until(lambda: has_no_point(region, stopped))


async def has_no_point(region: Region, tenant: Tenant) -> bool:
    return await point_of(region, tenant) is None


async def test_streams_that_wait_for_a_transaction_keep_no_other_tenant_from_being_connected(stage: Stage) -> None:
    blocked = [await tenant_of(stage) for _ in range(SHORT["effects_per_server_max"])]
    session = await blocked[0].administrator()
    async with session.transaction():
        await session.fetchval(OWN_NUMBER)
        for tenant in blocked:
            await stage.client.connect(tenant.name)
        for tenant in blocked:
            await until(partial(waits_for, tenant, session))
        other = await tenant_of(stage, mode="off")
        await stage.client.connect(other.name)
    await session.close()
    for tenant in blocked:
        await tenant.reaches("replication.started")
