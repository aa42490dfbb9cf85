"""What ends a stream, what does not, and what is true of the slot meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streams.catalog.entry import Database
from streams.devstack.kafka.server import KafkaServer
from streams.devstack.postgres import PostgresServer
from streams.devstack.process import free_port
from streams.replication.broadcaster import Broadcaster
from streams.replication.failure import ReplicationCode, ReplicationFailure
from streams.replication.order import StreamLimits
from streams.replication.stream import Stream
from streams.replication.watchdog import Watchdog
from streams.tenantdb.naming import slot_name
from streams.wire.lsn import lsn_of
from tests.integration.replication.place import connected, fresh_database, provisioned_on, server
from tests.integration.replication.scene import CLAIM, LIMITS, TENANT, Scene, insert, scene_of, slots
from tests.support.waiting import DEADLINE_S, until

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

INSERT_MANY = """
insert into realtime.messages (topic, extension, event, private, payload)
select 'topic', 'broadcast', 'event', false, to_jsonb(repeat('x', 5000)) from generate_series(1, $1)
"""

SENDER_TIMEOUT_S = 2
STOP_BOUND_S = 3.0


@contextmanager
def frozen(pid: int | None) -> Iterator[None]:
    """The process stands still for as long as it is entered."""
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def lost(stream: Stream) -> ReplicationFailure:
    async with asyncio.timeout(DEADLINE_S):
        return await stream.lost()


def backend(stream: Stream) -> int:
    return stream._prepared.session.backend_pid


async def confirmed(session: Any) -> int:
    lsn = "select (confirmed_flush_lsn - '0/0'::pg_lsn)::bigint from pg_replication_slots where slot_name = $1"
    return int(await session.fetchval(lsn, slot_name(TENANT)))


async def test_a_stream_whose_backend_is_ended_is_lost(scene: Scene, superuser: Any) -> None:
    async with scene.streaming() as stream:
        await superuser.execute(f"select pg_terminate_backend({backend(stream)})")
        failure = await lost(stream)
    assert failure.code == ReplicationCode.CONNECTION_DOWN
    assert "57P01" in str(failure)
    meanwhile = await insert(superuser, 3)
    async with scene.streaming() as stream:
        await scene.topic.has(meanwhile)
    assert stream.started.gap is None


async def test_a_lost_stream_stays_lost_and_is_closed_all_the_same(scene: Scene, superuser: Any) -> None:
    async with scene.connected() as connection:
        stream = await scene.open(connection)
        await superuser.execute(f"select pg_terminate_backend({backend(stream)})")
        assert await lost(stream) is await lost(stream)
        await stream.close(planned=True)
    assert await slots(superuser) == 0


async def test_kafka_may_stand_still_for_longer_than_the_server_waits_for_us(
    kafka: KafkaServer, tmp_path: Path
) -> None:
    with server(tmp_path / "server", {"wal_sender_timeout": f"{SENDER_TIMEOUT_S}s"}) as made:
        async with (
            fresh_database(made) as database,
            scene_of(kafka, await provisioned_on(database), broadcasts_in_flight_max=50) as scene,
        ):
            writer, onlooker = await connected(database), await connected(database)
            async with scene.streaming() as stream:
                await scene.topic.has(await insert(writer))
                pid = backend(stream)
                with frozen(kafka.pid):
                    ids = await insert(writer, 200)
                    await until(lambda: stream._pump.waiting)
                    for _ in range(4 * SENDER_TIMEOUT_S):
                        assert await confirmed(onlooker) <= stream._outbox.acknowledged_lsn
                        await onlooker.execute("select pg_sleep(1)")
                    acknowledged = stream._outbox.acknowledged_lsn
                    assert await confirmed(onlooker) <= acknowledged
                await scene.topic.has(ids)
                assert backend(stream) == pid
                assert await onlooker.fetchval("select true from pg_stat_replication where pid = $1", pid)
                await until(lambda: stream._outbox.acknowledged_lsn > acknowledged)
            await writer.close()
            await onlooker.close()


async def test_what_is_confirmed_is_never_more_than_what_is_acknowledged(
    kafka: KafkaServer, provisioned: Database, superuser: Any
) -> None:
    early = 8_000  # rows of 5 KB: more than the buffers of a socket hold
    other = await connected(provisioned)
    async with (
        scene_of(
            kafka, provisioned, broadcasts_in_flight_max=2 * early, broadcast_bytes_in_flight_max=10_000 * early
        ) as scene,
        scene.streaming(confirm_interval_ms=1) as stream,
    ):
        with ExitStack() as standing_still:
            # What is written early and committed late has low LSNs behind the higher ones of what was confirmed.
            async with other.transaction():
                await other.execute(INSERT_MANY, early)
                await scene.topic.has(await insert(superuser))
                await until(lambda: stream._outbox.unacknowledged.records == 0)
                standing_still.enter_context(frozen(kafka.pid))
                await insert(superuser, 50)
                asking = asyncio.create_task(ask_for_keepalives(stream))
            await until(lambda: stream._outbox.unacknowledged.records == early + 50)
            for _ in range(20):
                await superuser.execute("select pg_sleep(0.01)")
                assert await confirmed(superuser) <= stream._outbox.acknowledged_lsn
        asking.cancel()
        await until(lambda: stream._outbox.unacknowledged.records == 0)
    await other.close()


async def ask_for_keepalives(stream: Stream) -> None:
    """Have the server put keepalives in between the messages of a transaction."""
    while True:
        stream._pump.tell(reply=True)
        await asyncio.sleep(0.001)


async def test_a_server_that_shuts_down_does_not_wait_for_the_stream(kafka: KafkaServer, tmp_path: Path) -> None:
    with server(tmp_path / "server") as made:
        async with fresh_database(made) as database, scene_of(kafka, await provisioned_on(database)) as scene:
            session = await connected(database)
            async with scene.connected() as connection:
                stream = await scene.open(connection)
                ids = await insert(session, 10)
                await session.close()
                process = made.process
                assert process is not None
                process.send(signal.SIGINT)
                failure = await lost(stream)
                await until(lambda: not process.alive)
                await stream.close(planned=False)
            assert failure.code == ReplicationCode.CONNECTION_DOWN
            made.start()
            async with scene.streaming() as stream:
                await scene.topic.has(ids)
            assert stream.started.gap is None


async def test_a_server_that_says_nothing_more_is_noticed(scene: Scene) -> None:
    async with scene.streaming(watchdog_interval_ms=100, watchdog_timeout_ms=300, planned=False) as stream:
        with frozen(backend(stream)):
            failure = await lost(stream)
    assert failure.code == ReplicationCode.WATCHDOG_TIMEOUT


async def test_a_silent_stream_that_lives_is_left_alone(scene: Scene, superuser: Any) -> None:
    async with scene.streaming(watchdog_interval_ms=20, watchdog_timeout_ms=10_000) as stream:
        await superuser.execute("select pg_sleep(1)")
        assert not stream._lost.done()
        await scene.topic.has(await insert(superuser))


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server that takes WAL away from a slot that lags by 64 MB."""
    settings = {"max_slot_wal_keep_size": "64MB", "max_wal_size": "64MB", "min_wal_size": "32MB"}
    with server(tmp_path_factory.mktemp("forgetful"), settings) as made:
        yield made


async def test_a_slot_that_falls_behind_ends_the_stream(kafka: KafkaServer, forgetful: PostgresServer) -> None:
    async with (
        fresh_database(forgetful) as database,
        scene_of(kafka, await provisioned_on(database), broadcasts_in_flight_max=10) as scene,
    ):
        session = await connected(database)
        await scene.broadcast_once(session)
        async with scene.streaming(watchdog_interval_ms=100, planned=False) as stream:
            with frozen(kafka.pid):
                await insert(session, 100)
                for _ in range(40):
                    await session.execute("select pg_logical_emit_message(false, 'test', repeat('x', 1048576))")
                failure = await lost(stream)
        assert failure.code == ReplicationCode.SLOT_LAG_TOO_HIGH
        await session.close()


async def test_a_slot_that_is_gone_ends_the_stream(scene: Scene) -> None:
    async with scene.streaming() as stream:
        watchdog = Watchdog(stream._order, StreamLimits(watchdog_interval_ms=1), "another_slot", stream._pump)
        async with asyncio.timeout(DEADLINE_S):
            failure = await watchdog.run()
    assert failure.code == ReplicationCode.SLOT_NOT_ALIVE


async def test_a_watchdog_that_cannot_look_goes_on(scene: Scene, superuser: Any) -> None:
    async with scene.connected() as connection:
        stream = await scene.open(connection, watchdog_interval_ms=20)
        async with connection.session() as taken:
            await taken.execute("select pg_sleep(0.5)")
        assert not stream._lost.done()
        await scene.topic.has(await insert(superuser))
        await stream.close(planned=False)


async def test_a_stop_without_kafka_keeps_the_older_point_and_is_bounded(
    kafka: KafkaServer, scene: Scene, superuser: Any
) -> None:
    async with scene.connected() as connection:
        stream = await scene.open(connection, planned_stop_ms=200)
        await scene.topic.has(await insert(superuser))
        point = stream.resume_point
        with frozen(kafka.pid):
            ids = await insert(superuser, 5)
            async with asyncio.timeout(DEADLINE_S):
                await stream.close(planned=True)
            assert stream.resume_point == point
    assert await slots(superuser) == 0
    async with scene.streaming() as stream:
        await scene.topic.has(ids)
    assert stream.started.resumed_from == point


async def test_a_server_that_stands_still_does_not_hold_up_a_stop(scene: Scene) -> None:
    bound = replace(LIMITS.session, close_ms=200)
    async with scene.connected() as connection:
        stream = await scene.open(connection, clear_ms=200, planned_stop_ms=200, session=bound)
        with frozen(connection.backend_pids()[1]), frozen(backend(stream)):
            # The driver itself would wait for longer.
            async with asyncio.timeout(STOP_BOUND_S):
                await stream.close(planned=True)


async def test_an_opening_while_kafka_stands_still_is_given_up(
    kafka: KafkaServer, scene: Scene, superuser: Any
) -> None:
    async with scene.streaming():
        await scene.topic.has(await insert(superuser))
    ids = await insert(superuser, 5)
    async with scene.connected() as connection:
        with frozen(kafka.pid), pytest.raises(ReplicationFailure, match="Kafka") as caught:
            await scene.open(connection, stall_ms=300)
        assert caught.value.code == ReplicationCode.START_FAILED
        assert await slots(superuser) == 0
    async with scene.streaming():
        await scene.topic.has(ids)


async def test_no_point_is_written_for_what_is_not_acknowledged(scene: Scene, superuser: Any) -> None:
    nowhere = Broadcaster(scene.settings.model_copy(update={"kafka": f"127.0.0.1:{free_port()}"}))
    working, scene.broadcaster = scene.broadcaster, nowhere
    async with scene.streaming(position_interval_ms=1, planned=False) as stream:
        ids = await insert(superuser, 5)
        await until(lambda: stream._outbox.unacknowledged.records == len(ids))
        for _ in range(20):
            await superuser.execute("select pg_sleep(0.02)")
            assert lsn_of(stream.resume_point or "") <= stream._outbox.acknowledged_lsn
    scene.broadcaster = working
    async with scene.streaming():
        await scene.topic.has(ids)
    await nowhere.close()


async def test_an_observer_that_fails_holds_nothing_up(
    scene: Scene, superuser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("a mistake in counting")

    monkeypatch.setattr(scene.seen, "delivered", fail)
    async with scene.streaming() as stream:
        await scene.topic.has(await insert(superuser, 3))
        await until(lambda: stream._outbox.unacknowledged.records == 0)
        first = stream.resume_point
    assert stream.resume_point != first


async def test_an_older_owner_is_pushed_aside_and_nothing_is_lost(scene: Scene, superuser: Any) -> None:
    async with scene.connected(CLAIM) as older:
        stream = await scene.open(older, CLAIM)
        before = await insert(superuser, 5)
        async with scene.streaming(claim=CLAIM + 1) as successor:
            failure = await lost(stream)
            after = await insert(superuser, 5)
            await scene.topic.has([*before, *after])
        await stream.close(planned=True)
    assert failure.code == ReplicationCode.CONNECTION_DOWN
    assert successor.started.gap is None
