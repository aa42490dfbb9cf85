"""What is around a stream goes away and comes back: its database, Kafka, the server behind its address."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from streams.devstack.kafka.server import KafkaServer
from streams.devstack.postgres import PostgresServer
from tests.integration.life.region import Region
from tests.integration.life.stage import Stage
from tests.integration.streaming.conftest import SENDER_TIMEOUT
from tests.integration.streaming.heard import Heard
from tests.integration.streaming.place import slots, streamed, tenant_of, twin_of, walsenders
from tests.integration.streaming.relay import relaying
from tests.integration.streaming.writing import write, writing
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.asyncio(loop_scope="session")]

ATTEMPTS = 12
FILL = "select pg_logical_emit_message(false, 'fill', repeat('x', 1048576)) from generate_series(1, 40)"
HEARD_FROM = "select true from pg_stat_replication where pid = $1 and reply_time > $2"


@contextmanager
def standing_still(pid: int | None) -> Iterator[None]:
    """The process stands still for as long as it is entered."""
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_nothing_is_missing_where_the_database_crashes_under_writers(
    stage: Stage, heard: Heard, region: Region, small_server: PostgresServer
) -> None:
    tenant = await streamed(stage, server=small_server)
    async with writing(tenant) as writers:
        await writers.more(50)
        await asyncio.to_thread(small_server.kill)
        # Long enough for several attempts at the stream, none of which would have been of any use.
        await until(lambda: len(region.logged("database.unavailable", tenant.name)) > ATTEMPTS)
        await asyncio.to_thread(small_server.start)
        await writers.more(50)
        told = await tenant.up_to("database.restored")
        # Attempts that fail otherwise than the loss did are told too; the first of each says what broke.
        assert {event.data.type: event.data.code for event in reversed(told[:-1])} == {
            "database.lost": "DatabaseConnectionDown",
            "replication.lost": "ReplicationConnectionDown",
        }
        await tenant.reaches("replication.started")
    await heard.has(tenant.name, writers.committed)
    # What the server had written when it went, and nobody was told of, may have been committed.
    assert writers.committed <= set(heard.ids(tenant.name)) <= writers.committed | writers.unknown
    assert (await stage.client.status(tenant.name)).database == "up"


async def test_a_stream_outlives_kafka_though_that_is_away_for_longer_than_its_server_waits(
    stage: Stage, heard: Heard, broker: KafkaServer, small_server: PostgresServer
) -> None:
    tenant = await streamed(stage, server=small_server)
    (pid,) = await walsenders(tenant)
    async with writing(tenant) as writers:
        await writers.more(50)
        await asyncio.to_thread(broker.kill)
        ((stopped,),) = await tenant.sql("select now()")
        await writers.more(50)
        long_after = stopped + 2 * SENDER_TIMEOUT

        async def is_waited_for() -> bool:
            return bool(await tenant.sql(HEARD_FROM, pid, long_after))

        await until(is_waited_for)
        await asyncio.to_thread(broker.start)
        await writers.more(50)
    await heard.has(tenant.name, writers.committed)
    assert set(heard.ids(tenant.name)) == writers.committed
    assert await walsenders(tenant) == [pid]


async def test_a_slot_that_falls_too_far_behind_is_given_up_and_nothing_is_missing(
    stage: Stage, heard: Heard, region: Region, broker: KafkaServer, small_server: PostgresServer
) -> None:
    tenant = await streamed(stage, server=small_server)
    session = await tenant.administrator()
    with standing_still(broker.pid):
        ids = await write(tenant, 20)
        await session.execute(FILL)
        await until(lambda: bool(region.logged("replication.failed", tenant.name)))
    await session.close()
    (lost,) = await tenant.next("replication.lost")
    assert lost.data.code == "ReplicationSlotLagTooHigh"
    assert "max_slot_wal_keep_size" in lost.data.message
    started = await tenant.reaches("replication.started")
    await heard.has(tenant.name, ids)
    assert started.data.backfilled >= len(ids)


async def test_another_server_behind_the_same_address_is_found_out_and_the_gap_is_told(
    stage: Stage, heard: Heard, server: PostgresServer, small_server: PostgresServer
) -> None:
    async with relaying(server) as relay:
        tenant = await tenant_of(stage, database={"port": relay.port})
        await stage.client.connect(tenant.name, wait="streaming")
        await tenant.reaches("replication.started")
        await heard.has(tenant.name, await write(tenant))
        other = await twin_of(stage, tenant, small_server)
        ids = await write(other, 3)
        relay.server = small_server
        await tenant.end_sessions()
        await tenant.reaches("database.restored")
        lost = await tenant.reaches("replication.lost")
        assert lost.data.code == "ReplicationSlotNotAlive"
        started, gap = [await tenant.reaches(wanted) for wanted in ("replication.started", "replication.gap")]
        assert started.data.resumed_from is None
        assert (gap.data.from_lsn, gap.data.to_lsn) == (lost.data.resume_point, None)
        assert (gap.data.cause, gap.data.recovered_by) == ("another_system", "inserted_at")
        await heard.has(tenant.name, [*ids, *await write(other)])
        assert await slots(tenant) == []
        await stage.client.shutdown(tenant.name)
