"""What a stream delivers, and in which order."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import Any

import pytest

from statemachine.state import ReplicationMode
from streams.catalog.entry import Database, Limits
from streams.devstack.kafka.server import KafkaServer
from streams.tenantdb.naming import PUBLICATION, replication_session_name, slot_name
from tests.integration.replication.place import connected
from tests.integration.replication.scene import CLAIM, LIMITS, TENANT, Scene, insert, scene_of, slots
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

INSERT_NAMED = """
insert into realtime.messages (topic, extension, event, private, payload)
values ($1, 'broadcast', 'event', false, '{}')
"""

INSERT_MANY = """
insert into realtime.messages (topic, extension, event, private, payload)
select number::text, 'broadcast', 'event', false, '{}' from generate_series(0, $1 - 1) as number
"""


LARGE_BYTES = 40_000_000
"""Many times what a payload may have, and what the process needs beside."""

INSERT_LARGE = {
    "payload": """
insert into realtime.messages (topic, extension, event, private, payload)
values ('topic', 'broadcast', 'event', false, to_jsonb(repeat('x', $1)))
""",
    "binary_payload": """
insert into realtime.messages (topic, extension, event, private, payload, binary_payload)
values ('topic', 'broadcast', 'event', false, null, convert_to(repeat('x', $1), 'UTF8'))
""",
}


def topics(scene: Scene) -> list[str]:
    return [broadcast.topic for broadcast in scene.topic.read()]


async def test_a_fresh_stream_broadcasts_what_is_committed(scene: Scene, superuser: Any) -> None:
    async with scene.streaming() as stream:
        ids = await insert(superuser, 3)
        await scene.topic.has(ids)
    started = stream.started
    assert (started.mode, started.resumed_from, started.backfilled) == (ReplicationMode.DURABLE, None, 0)
    assert (started.slot, started.timeline, started.gap) == (slot_name(TENANT), 1, None)
    first = scene.topic.broadcasts[0]
    assert (first.tenant, first.claim, first.ordinal, first.topic) == (TENANT, CLAIM, 0, "topic")
    assert [broadcast.id for broadcast in scene.topic.broadcasts] == ids


async def test_rows_written_while_nobody_streams_are_delivered_first(scene: Scene, superuser: Any) -> None:
    async with scene.streaming() as stream:
        before = await insert(superuser, 2)
        await scene.topic.has(before)
    point = stream.resume_point
    meanwhile = await insert(superuser, 5)
    async with scene.streaming() as stream:
        after = await insert(superuser, 2)
        await scene.topic.has([*meanwhile, *after])
    assert stream.started.resumed_from == point
    assert (stream.started.backfilled, stream.started.gap) == (5, None)
    assert [broadcast.id for broadcast in scene.topic.broadcasts] == [*before, *meanwhile, *after]


async def test_the_first_stream_ever_delivers_what_was_promised_before(scene: Scene, superuser: Any) -> None:
    scene.promised_since = await superuser.fetchval("select clock_timestamp()")
    early = await insert(superuser, 3)
    async with scene.streaming() as stream:
        late = await insert(superuser, 2)
        await scene.topic.has([*early, *late])
    assert (stream.started.backfilled, stream.started.gap) == (3, None)
    assert [broadcast.id for broadcast in scene.topic.broadcasts] == [*early, *late]


@pytest.mark.parametrize("column", ["payload", "binary_payload"])
async def test_a_large_row_written_while_nobody_streams_is_refused_and_never_in_memory(
    scene: Scene, superuser: Any, column: str
) -> None:
    async with scene.streaming() as stream:
        await scene.topic.has(await insert(superuser))
    await superuser.execute(INSERT_LARGE[column], LARGE_BYTES)
    small = await insert(superuser)
    tracemalloc.start()
    try:
        async with scene.streaming(limits=Limits()) as stream:
            assert stream.started.backfilled == 1
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    await scene.topic.has(small)
    assert scene.seen.dropped_codes == ["payload_size_exceeded"]
    assert most < LARGE_BYTES / 4


async def test_nothing_is_held_in_the_database_while_nobody_streams(scene: Scene, superuser: Any) -> None:
    async with scene.streaming():
        assert await slots(superuser) == 1
    assert await slots(superuser) == 0
    name = replication_session_name(CLAIM)
    assert await superuser.fetchval("select count(*) from pg_stat_activity where application_name = $1", name) == 0


async def test_rows_come_in_the_order_of_commits_and_within_a_transaction_as_written(
    scene: Scene, superuser: Any
) -> None:
    async with scene.streaming():
        other = await connected(scene.database)
        first, second = superuser.transaction(), other.transaction()
        await first.start()
        await second.start()
        await superuser.execute(INSERT_NAMED, "late 0")
        await other.execute(INSERT_NAMED, "early 0")
        await superuser.execute(INSERT_NAMED, "late 1")
        await second.commit()
        await first.commit()
        await until(lambda: len(scene.topic.read()) == 3)
        await other.close()
    found = scene.topic.broadcasts
    assert [broadcast.topic for broadcast in found] == ["early 0", "late 0", "late 1"]
    assert [broadcast.ordinal for broadcast in found] == [0, 0, 1]
    assert found[1].lsn == found[2].lsn != found[0].lsn


async def test_what_is_rolled_back_is_not_broadcast(scene: Scene, superuser: Any) -> None:
    async with scene.streaming():
        async with superuser.transaction():
            await superuser.execute(INSERT_NAMED, "kept")
            savepoint = superuser.transaction()
            await savepoint.start()
            await superuser.execute(INSERT_NAMED, "undone")
            await savepoint.rollback()
            async with superuser.transaction():
                await superuser.execute(INSERT_NAMED, "released")
        undone = superuser.transaction()
        await undone.start()
        await superuser.execute(INSERT_NAMED, "undone")
        await undone.rollback()
        await superuser.execute(INSERT_NAMED, "last")
        await until(lambda: "last" in topics(scene))
    assert topics(scene) == ["kept", "released", "last"]


async def test_updates_deletes_and_rows_of_other_extensions_are_passed_over(scene: Scene, superuser: Any) -> None:
    async with scene.streaming():
        await superuser.execute(INSERT_NAMED, "row")
        await superuser.execute("update realtime.messages set topic = 'changed'")
        await superuser.execute("insert into realtime.messages (topic, extension) values ('theirs', 'presence')")
        await superuser.execute("delete from realtime.messages")
        await superuser.execute(INSERT_NAMED, "last")
        await until(lambda: "last" in topics(scene))
    assert topics(scene) == ["row", "last"]


async def test_rows_that_fail_their_checks_are_dropped_and_told_and_the_stream_goes_on(
    scene: Scene, superuser: Any
) -> None:
    async with scene.streaming(limits=Limits(max_payload_kb=1, max_events_per_second=1_000_000)):
        await superuser.execute(
            "insert into realtime.messages (topic, extension, event) values ('t', 'broadcast', 'e')"
        )
        await superuser.execute(
            "insert into realtime.messages (topic, extension, payload) values ('t', 'broadcast', '1')"
        )
        await superuser.execute(
            "insert into realtime.messages (topic, extension, event, payload) "
            "values ('t', 'broadcast', 'e', to_jsonb(repeat('x', 2000)))"
        )
        ids = await insert(superuser)
        await scene.topic.has(ids)
    assert scene.seen.dropped_codes == ["payload_missing", "event_missing", "payload_size_exceeded"]
    assert len(scene.seen.latencies_ms) == 1


async def test_a_stream_that_makes_up_for_nothing_begins_now(scene: Scene, superuser: Any) -> None:
    async with scene.streaming(mode=ReplicationMode.TEMPORARY) as stream:
        ids = await insert(superuser, 2)
        await scene.topic.has(ids)
    assert stream.resume_point is None
    assert scene.positions.point(TENANT) is None
    await insert(superuser, 2)
    async with scene.streaming(mode=ReplicationMode.TEMPORARY) as stream:
        last = await insert(superuser)
        await scene.topic.has(last)
    assert (stream.started.backfilled, stream.started.gap) == (0, None)
    assert [broadcast.id for broadcast in scene.topic.broadcasts] == [*ids, *last]


async def test_one_large_transaction_takes_no_more_room_than_the_window(
    kafka: KafkaServer, provisioned: Database, superuser: Any
) -> None:
    rows, window = 200_000, 500
    async with scene_of(kafka, provisioned, broadcasts_in_flight_max=window) as scene:
        async with scene.streaming() as stream:
            most = 0

            def sample() -> bool:
                nonlocal most
                most = max(most, stream._outbox.unacknowledged.records)
                return len(scene.seen.latencies_ms) == rows

            await superuser.execute(INSERT_MANY, rows)
            await until(sample)
        assert 0 < most <= window
        await until(lambda: len(scene.topic.read()) == rows)
        found = scene.topic.broadcasts
        assert [broadcast.topic for broadcast in found] == [str(number) for number in range(rows)]
        assert [broadcast.ordinal for broadcast in found] == list(range(rows))


async def test_a_long_backlog_waits_for_kafka_and_keeps_its_order(
    kafka: KafkaServer, provisioned: Database, superuser: Any
) -> None:
    async with scene_of(kafka, provisioned, broadcasts_in_flight_max=50) as scene:
        async with scene.streaming():
            pass
        for number in range(20):
            await superuser.execute(INSERT_MANY.replace("number::text", f"'{number}:' || number"), 100)
        async with scene.streaming() as stream:
            assert stream.started.backfilled == 2_000
        await until(lambda: len(scene.topic.read()) == 2_000)
        found = scene.topic.broadcasts
        assert [broadcast.ordinal for broadcast in found] == list(range(2_000))
        times = [broadcast.inserted_at for broadcast in found]
        assert times == sorted(times)


async def test_a_quiet_table_in_a_busy_database_holds_no_wal(scene: Scene, superuser: Any) -> None:
    await superuser.execute("create table other (text text)")
    async with scene.streaming():
        for _ in range(5):
            await superuser.execute("insert into other select repeat('x', 1000) from generate_series(1, 1000)")
        written = await superuser.fetchval("select pg_current_wal_lsn()")

        async def confirmed() -> bool:
            lsn = "select confirmed_flush_lsn from pg_replication_slots where slot_name = $1"
            return bool(await superuser.fetchval(lsn, slot_name(TENANT)) >= written)

        await until(confirmed)


async def test_a_publication_of_anything_else_is_made_again(scene: Scene, superuser: Any) -> None:
    await superuser.execute(f"create publication {PUBLICATION} for tables in schema public")
    async with scene.streaming():
        await scene.topic.has(await insert(superuser))


async def test_new_days_are_streamed_without_a_new_stream(scene: Scene, superuser: Any) -> None:
    async with scene.streaming():
        await superuser.execute(
            "create table realtime.messages_2999_01_01 partition of realtime.messages "
            "for values from ('2999-01-01') to ('2999-01-02')"
        )
        await superuser.execute(
            "insert into realtime.messages (topic, extension, event, payload, inserted_at) "
            "values ('of another day', 'broadcast', 'e', '{}', '2999-01-01 12:00')"
        )
        await until(lambda: topics(scene) == ["of another day"])


async def test_a_stream_can_be_closed_twice_and_at_once(scene: Scene, superuser: Any) -> None:
    async with scene.connected() as connection:
        stream = await scene.open(connection)
        await asyncio.gather(stream.close(planned=True), stream.close(planned=False))
        await stream.close(planned=True)
    assert await slots(superuser) == 0


async def test_a_cancelled_opening_leaves_nothing(scene: Scene, superuser: Any) -> None:
    async with scene.connected() as connection:
        for hundredths in range(0, 30, 3):
            opening = asyncio.create_task(scene.open(connection))
            await asyncio.sleep(hundredths / 100)
            opening.cancel()
            (outcome,) = await asyncio.gather(opening, return_exceptions=True)
            if not isinstance(outcome, BaseException):
                await outcome.close(planned=False)
            assert await slots(superuser) == 0


async def test_a_stream_over_a_small_pool_leaves_the_pool_free(scene: Scene, superuser: Any) -> None:
    async with scene.connected() as connection:
        stream = await scene.open(connection, position_interval_ms=20, watchdog_interval_ms=20)
        async with asyncio.timeout(LIMITS.setup_ms / 1000):
            for _ in range(20):
                async with connection.session() as session:
                    assert await session.fetchval("select true")
                await insert(superuser)
        await stream.close(planned=True)
