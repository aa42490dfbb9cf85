"""Rows that are committed in a tenant's database are heard, in their order, with what tells where they come from."""

from __future__ import annotations

import uuid

import pytest

from streams.wire.lsn import lsn_of
from tests.integration.life.region import Region
from tests.integration.life.stage import READY, Stage
from tests.integration.streaming.heard import Heard
from tests.integration.streaming.place import UNLIMITED, own_slot, slots, streamed, tenant_of, walsenders
from tests.integration.streaming.writing import INSERT, write
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.asyncio(loop_scope="session")]

REFUSED = """
insert into realtime.messages (topic, extension, event, private, payload) values
  ('room', 'broadcast', null, false, '{}'),
  ('room', 'broadcast', 'said', null, '{}'),
  ('room', 'broadcast', 'said', false, null),
  ('room', 'broadcast', 'said', false, jsonb_build_object('text', repeat('x', 3000)))
"""

LARGE = """
insert into realtime.messages (topic, extension, event, private, payload)
values ('room', 'broadcast', 'said', false, jsonb_build_object('text', repeat('x', 3000)))
"""


async def test_who_waited_for_rows_hears_every_row_that_is_committed_after_the_answer(
    stage: Stage, heard: Heard
) -> None:
    tenant = await tenant_of(stage)
    status = await stage.client.connect(tenant.name, wait="streaming")
    assert status.replication == "streaming"
    ids = await write(tenant, 20)
    await heard.has(tenant.name, ids)
    assert heard.ids(tenant.name) == ids
    assert status.owner is not None
    assert {broadcast.claim for broadcast in heard.of(tenant.name)} == {status.owner.claim}
    assert await slots(tenant) == [own_slot(tenant)]


async def test_rows_are_heard_in_the_order_of_commits_with_their_place(stage: Stage, heard: Heard) -> None:
    tenant = await streamed(stage)
    ids = [str(uuid.uuid4()) for _ in range(5)]
    early, late = await tenant.administrator(), await tenant.administrator()
    async with early.transaction():
        for row in ids[2:4]:
            await early.execute(INSERT, row)
        async with late.transaction():
            for row in ids[:2]:
                await late.execute(INSERT, row)
        before = lsn_of(await late.fetchval("select pg_current_wal_insert_lsn()::text"))
        await early.execute(INSERT, ids[4])
    await early.close()
    await late.close()
    await heard.has(tenant.name, ids)
    assert heard.ids(tenant.name) == ids
    assert [broadcast.ordinal for broadcast in heard.of(tenant.name)] == [0, 1, 0, 1, 2]
    places = [lsn_of(broadcast.lsn) for broadcast in heard.of(tenant.name)]
    assert places[0] == places[1] < before <= places[2] == places[3] == places[4]


async def test_a_tenant_whose_rows_are_not_to_be_streamed_is_ready_without_a_stream(stage: Stage) -> None:
    tenant = await tenant_of(stage, mode="off")
    status = await stage.client.connect(tenant.name, wait="streaming")
    assert (status.lifecycle, status.replication) == ("ready", "off")
    assert (await slots(tenant), await walsenders(tenant)) == ([], [])
    assert await tenant.in_database("select from pg_publication") == []


async def test_without_durability_rows_are_heard_while_they_are_streamed_and_no_point_is_kept(
    stage: Stage, heard: Heard, region: Region
) -> None:
    tenant = await streamed(stage, mode="temporary")
    first = await write(tenant, 3)
    await heard.has(tenant.name, first)
    await stage.client.shutdown(tenant.name)
    await write(tenant, 3)
    await stage.client.connect(tenant.name, wait="streaming")
    last = await write(tenant, 3)
    await heard.has(tenant.name, last)
    assert heard.ids(tenant.name) == [*first, *last]
    await tenant.next("connect.stopping", "connect.stopped", *READY, "occupancy.used", "replication.started")
    keys = {record.key for record in region.scene.records(region.scene.topics.positions)}
    assert tenant.name.encode() not in keys


async def test_a_row_that_cannot_be_broadcast_is_counted_by_its_code_and_the_next_one_is_heard(
    stage: Stage, heard: Heard, region: Region
) -> None:
    codes = ("event_missing", "private_missing", "payload_missing", "payload_size_exceeded", "too_many_requests")
    name = "tenant_connect_broadcasts_dropped_total"
    before = await region.pages.figures(name)
    tenant = await streamed(stage, max_payload_kb=1)
    await tenant.in_database(REFUSED)
    await heard.has(tenant.name, await write(tenant))
    assert len(heard.of(tenant.name)) == 1
    hurried = await streamed(stage, max_events_per_second=5)
    ids = await write(hurried, 100)

    async def counted() -> bool:
        figures = await region.pages.figures(name)
        found = {code: figures.get((code,), 0) - before.get((code,), 0) for code in codes}
        dropped = len(ids) - len(heard.of(hurried.name))
        return dropped > 0 and found == dict.fromkeys(codes[:-1], 1) | {"too_many_requests": dropped}

    await until(counted)


async def test_limits_that_are_changed_hold_for_the_stream_that_runs(stage: Stage, heard: Heard) -> None:
    tenant = await streamed(stage, max_payload_kb=1)
    streaming = await walsenders(tenant)
    await tenant.in_database(LARGE)
    await heard.has(tenant.name, await write(tenant))
    assert len(heard.of(tenant.name)) == 1
    await tenant.put(limits={**UNLIMITED, "max_payload_kb": 10})

    async def passes() -> bool:
        await tenant.in_database(LARGE)
        return len(heard.of(tenant.name)) > 1

    await until(passes)
    assert await walsenders(tenant) == streaming
