"""Servers that crash, are copied, promoted, set back, or run out of transaction numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.catalog.entry import Database
from streams.devstack.kafka.server import KafkaServer
from streams.devstack.postgres import PostgresServer
from streams.replication.stream import Stream
from tests.integration.replication.clusters import keep_copy, put_back, set_next_transaction, standby_of
from tests.integration.replication.place import connected, entry, provisioned_on, server
from tests.integration.replication.scene import CLAIM, TENANT, Scene, insert, scene_of
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

NAME = "tenant"
BURN = "do $$ begin for i in 1..{} loop perform pg_current_xact_id(); commit; end loop; end $$"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[PostgresServer]:
    with server(tmp_path / "own") as made:
        yield made


async def prepared(server: PostgresServer) -> Database:
    administrator = await server.superuser_connection()
    await administrator.execute(f"create database {NAME}")
    await administrator.close()
    return await provisioned_on(entry(server, NAME))


async def write(database: Database, rows: int) -> list[str]:
    session = await connected(database)
    ids = await insert(session, rows)
    await session.close()
    return ids


async def execute(database: Database, statement: str) -> None:
    session = await connected(database)
    await session.execute(statement)
    await session.close()


async def streamed(scene: Scene, *written: list[str], claim: int = CLAIM) -> Stream:
    """Stream until all of these have arrived, and one more that is written now."""
    async with scene.streaming(claim=claim) as stream:
        await scene.topic.has([*(name for ids in written for name in ids), *await write(scene.database, 1)])
    return stream


async def test_a_crash_of_the_server_loses_nothing(kafka: KafkaServer, own: PostgresServer) -> None:
    async with scene_of(kafka, await prepared(own)) as scene:
        async with scene.connected() as connection:
            stream = await scene.open(connection)
            first = await write(scene.database, 20)
            own.kill()
            await stream.lost()
            await stream.close(planned=False)
        own.start()
        second = await write(scene.database, 20)
        stream = await streamed(scene, first, second)
    assert stream.started.gap is None


async def test_frozen_rows_are_delivered_too(scene: Scene) -> None:
    await streamed(scene)
    meanwhile = await write(scene.database, 20)
    await execute(scene.database, "vacuum (freeze) realtime.messages")
    stream = await streamed(scene, meanwhile)
    assert (stream.started.gap, stream.started.backfilled) == (None, 20)


async def test_rows_on_both_sides_of_the_end_of_transaction_numbers_are_delivered(
    kafka: KafkaServer, own: PostgresServer
) -> None:
    database = await prepared(own)
    for name in ("postgres", "template1", NAME):
        await execute(entry(own, name), "vacuum (freeze)")
    own.stop()
    set_next_transaction(own, 2**32 - 400)
    own.start()
    async with scene_of(kafka, database) as scene:
        await streamed(scene)
        point = scene.positions.point(TENANT)
        assert point is not None
        assert 2**32 - 400 < point.xmin < 2**32
        before = await write(database, 10)
        await execute(database, BURN.format(600))
        after = await write(database, 10)
        stream = await streamed(scene, before, after)
        assert (stream.started.gap, stream.started.backfilled) == (None, 20)
        point = scene.positions.point(TENANT)
        assert point is not None
        assert point.xmin > 2**32
        last = await write(database, 5)
        stream = await streamed(scene, last)
    assert (stream.started.gap, stream.started.backfilled) == (None, 5)


async def caught_up(primary: Any, standby: PostgresServer) -> bool:
    written = await primary.fetchval("select pg_current_wal_insert_lsn()")
    session = await standby.superuser_connection()
    replayed = await session.fetchval("select pg_last_wal_replay_lsn()")
    await session.close()
    return bool(replayed >= written)


async def promote(standby: PostgresServer) -> Database:
    session = await standby.superuser_connection()
    assert await session.fetchval("select pg_promote()")
    await session.close()
    return entry(standby, NAME)


async def test_a_promoted_standby_that_has_everything_goes_on_without_a_gap(
    kafka: KafkaServer, own: PostgresServer, tmp_path: Path
) -> None:
    async with scene_of(kafka, await prepared(own)) as scene:
        standby = standby_of(own, tmp_path / "standby")
        standby.start()
        try:
            await streamed(scene)
            meanwhile = await write(scene.database, 20)
            primary = await connected(scene.database)
            await until(lambda: caught_up(primary, standby))
            await primary.close()
            own.kill()
            scene.database = await promote(standby)
            after = await write(scene.database, 5)
            stream = await streamed(scene, meanwhile, after)
            assert (stream.started.gap, stream.started.timeline, stream.started.backfilled) == (None, 2, 25)
            again = await streamed(scene, await write(scene.database, 3))
            assert (again.started.gap, again.started.backfilled) == (None, 3)
        finally:
            standby.kill()


async def test_a_promoted_standby_that_was_behind_is_a_gap_and_what_it_has_is_delivered(
    kafka: KafkaServer, own: PostgresServer, tmp_path: Path
) -> None:
    async with scene_of(kafka, await prepared(own)) as scene:
        first = await streamed(scene)
        standby = standby_of(own, tmp_path / "standby")
        gone = await write(scene.database, 20)
        await streamed(scene, gone)
        own.kill()
        standby.start()
        try:
            scene.database = await promote(standby)
            kept = await write(scene.database, 5)
            stream = await streamed(scene, kept)
        finally:
            standby.kill()
    gap = stream.started.gap
    assert first.started.gap is None
    assert gap is not None
    assert (gap.cause, gap.to_lsn, gap.recovered_by) == ("another_timeline", None, "inserted_at")
    assert stream.started.resumed_from is None


async def test_a_restored_backup_is_a_gap(kafka: KafkaServer, own: PostgresServer, tmp_path: Path) -> None:
    async with scene_of(kafka, await prepared(own)) as scene:
        await streamed(scene)
        own.stop()
        keep_copy(own, tmp_path / "kept")
        own.start()
        await execute(scene.database, "create table much as select repeat('x', 100) from generate_series(1, 100000)")
        await streamed(scene, await write(scene.database, 20))
        own.stop()
        put_back(own, tmp_path / "kept")
        own.start()
        kept = await write(scene.database, 5)
        stream = await streamed(scene, kept)
    assert stream.started.gap is not None
    assert (stream.started.gap.cause, stream.started.gap.to_lsn) == ("server_behind_the_resume_point", None)


async def test_a_restored_backup_that_has_gone_on_for_long_is_a_gap_too(
    kafka: KafkaServer, own: PostgresServer, tmp_path: Path
) -> None:
    async with scene_of(kafka, await prepared(own)) as scene:
        await streamed(scene)
        own.stop()
        keep_copy(own, tmp_path / "kept")
        own.start()
        await streamed(scene, await write(scene.database, 20))
        own.stop()
        put_back(own, tmp_path / "kept")
        own.start()
        # As many transactions and more WAL than the history that is no more: numbers tell nothing any more.
        kept = await write(scene.database, 10)
        await execute(scene.database, "create table much as select repeat('x', 100) from generate_series(1, 100000)")
        await execute(scene.database, BURN.format(600))
        stream = await streamed(scene, kept)
    assert stream.started.gap is not None
    assert stream.started.gap.cause == "history_rewritten"
    assert stream.started.gap.recovered_by == "inserted_at"


async def test_a_database_that_moved_to_another_server_is_a_gap(own: PostgresServer, scene: Scene) -> None:
    await streamed(scene)
    scene.database = await prepared(own)
    kept = await write(scene.database, 5)
    stream = await streamed(scene, kept)
    assert stream.started.gap is not None
    assert stream.started.gap.cause == "another_system"


async def test_a_lost_resume_point_is_a_gap_and_rows_are_found_by_their_time(scene: Scene) -> None:
    await streamed(scene)
    meanwhile = await write(scene.database, 5)
    await scene.positions.remove(TENANT)
    stream = await streamed(scene, meanwhile)
    assert stream.started.gap is not None
    assert (stream.started.gap.cause, stream.started.gap.from_lsn) == ("no_resume_point", None)
    assert stream.started.gap.to_lsn == stream.started.delivers_from_lsn


async def test_a_gap_that_nobody_was_told_of_is_found_again(scene: Scene, superuser: Any) -> None:
    await streamed(scene)
    await scene.positions.remove(TENANT)
    async with scene.streaming(planned=False, position_interval_ms=1) as stream:
        await scene.topic.has(await insert(superuser))
        assert (stream.resume_point, scene.positions.point(TENANT)) == (None, None)
    again = await streamed(scene)
    assert (stream.started.gap is None, again.started.gap is None) == (False, False)


async def test_after_a_gap_was_told_resume_points_are_written_again(scene: Scene) -> None:
    await streamed(scene)
    await scene.positions.remove(TENANT)
    async with scene.streaming(planned=False, position_interval_ms=1, gap_settle_ms=1) as stream:
        await until(lambda: stream.resume_point is not None)
    again = await streamed(scene)
    assert (stream.started.gap is None, again.started.gap) == (False, None)
