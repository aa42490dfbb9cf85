"""The points that a stream resumes from: when they are taken, and on whose word."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from streams.devstack.kafka.server import KafkaServer
from streams.replication.failure import ReplicationFailure
from streams.tenantdb.horizon import PAGE_HEADER_BYTES
from tests.integration.replication.place import connected, fresh_database, provisioned_on, server
from tests.integration.replication.scene import CLAIM, TENANT, Scene, insert, scene_of, slots
from tests.support.waiting import DEADLINE_S, until

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

INSERT_LSN = "select (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint"
PAGE = 8_192


async def test_resume_points_follow_what_is_delivered(scene: Scene, superuser: Any) -> None:
    async with scene.streaming(position_interval_ms=20) as stream:
        for _ in range(3):
            before = stream.resume_point
            await scene.topic.has(await insert(superuser))
            await until(lambda: stream.resume_point != before)  # noqa: B023  it is awaited within the turn
    point = scene.positions.point(TENANT)
    assert point is not None
    assert (point.claim, point.tenant) == (CLAIM, TENANT)


async def test_a_planned_stop_of_a_quiet_stream_writes_a_last_point(kafka: KafkaServer, tmp_path: Path) -> None:
    # The server writes nothing to its disk by itself: what has no commit stays in memory.
    settings = {"wal_writer_delay": "10s", "wal_writer_flush_after": "1GB"}
    with server(tmp_path / "server", settings) as made:
        async with fresh_database(made) as database, scene_of(kafka, await provisioned_on(database)) as scene:
            session = await connected(database)
            async with scene.streaming(planned_stop_ms=4_000) as stream:
                first = stream.resume_point
                await session.execute("select pg_logical_emit_message(false, 'without a commit', 'x')")
            assert stream.resume_point != first
            await session.close()


async def test_a_point_is_proved_where_the_wal_ends_with_a_page(scene: Scene, superuser: Any) -> None:
    async with scene.streaming() as stream:
        for attempt in range(1_000):
            lsn = await superuser.fetchval(INSERT_LSN)
            size = max(1, PAGE - lsn % PAGE - 40 - 8 * (attempt % 40))
            await superuser.fetchval("select pg_logical_emit_message(true, 'test', repeat('x', $1))", size)
            if await superuser.fetchval(INSERT_LSN) % PAGE == PAGE_HEADER_BYTES:
                break
        else:
            pytest.fail("no page was filled")
        async with asyncio.timeout(DEADLINE_S):
            await stream._proving.refresh()


async def test_no_point_is_taken_from_a_server_that_does_not_stream_from_our_slot(scene: Scene, superuser: Any) -> None:
    async with scene.streaming(planned=False, position_interval_ms=3_600_000) as stream:
        point = stream.resume_point
        await superuser.execute(
            "select pg_terminate_backend(active_pid) from pg_replication_slots where database = current_database()"
        )
        await until(lambda: _none_left(superuser))
        with pytest.raises(ReplicationFailure, match="is not streamed from"):
            await stream._proving.refresh()
        assert stream.resume_point == point


async def _none_left(superuser: Any) -> bool:
    return await slots(superuser) == 0
