"""A tenant whose rows are streamed, as a worker would do it, and what arrives of them."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from confluent_kafka import TopicPartition

from statemachine.state import ReplicationMode
from streams.catalog.entry import Database, Limits
from streams.devstack.kafka.server import KafkaServer
from streams.kafka.clients import consumer
from streams.kafka.partitioner import partition_of
from streams.replication.broadcaster import Broadcaster
from streams.replication.order import StreamLimits, StreamOrder
from streams.replication.positions import Positions
from streams.replication.stream import Stream
from streams.settings import Settings
from streams.tenantdb.connection import TenantConnection
from streams.tenantdb.session import SessionLimits
from streams.topics import Topics
from streams.wire.broadcast import Broadcast, decode_broadcast
from tests.support.region import fresh_region
from tests.support.waiting import until

TENANT = "t1"
CLAIM = 7
UNLIMITED = Limits(max_events_per_second=1_000_000_000)
LIMITS = StreamLimits(
    session=SessionLimits(connect_ms=5_000, close_ms=2_000),
    setup_ms=20_000,
    confirm_interval_ms=20,
    planned_stop_ms=20_000,
)

SEND = "select realtime.send(jsonb_build_object('n', $1::int), 'event', 'topic', false)"
INSERT = """
insert into realtime.messages (topic, extension, event, private, payload)
values ('topic', 'broadcast', 'event', false, '{}') returning id
"""


@dataclass
class Seen:
    """An observer that writes down what it is told."""

    latencies_ms: list[float] = field(default_factory=list)
    dropped_codes: list[str] = field(default_factory=list)

    def delivered(self, committed_latency_ms: float, _inserted_latency_ms: float, _payload_bytes: int) -> None:
        self.latencies_ms.append(committed_latency_ms)

    def dropped(self, code: str) -> None:
        self.dropped_codes.append(code)


class Topic:
    """What is on the broadcasts topic of a region, read from its beginning."""

    def __init__(self, settings: Settings) -> None:
        self._consumer = consumer(settings, "test")
        partition = partition_of(TENANT, settings.partitions)
        self._consumer.assign([TopicPartition(Topics(settings).broadcasts, partition, 0)])
        self.broadcasts: list[Broadcast] = []

    def read(self) -> list[Broadcast]:
        """Take what has come since; gives everything so far."""
        while messages := self._consumer.consume(10_000, 0.05):
            for message in messages:
                assert message.error() is None
                self.broadcasts.append(decode_broadcast(message.value(), "test"))
        return self.broadcasts

    async def has(self, ids: Iterable[str]) -> None:
        """Wait until each of these is there."""
        wanted = set(ids)
        await until(lambda: wanted <= {broadcast.id for broadcast in self.read()})

    def close(self) -> None:
        self._consumer.close()


class Scene:
    """A worker's part: broadcaster, positions, and connections of one tenant."""

    def __init__(self, settings: Settings, database: Database, limits: StreamLimits) -> None:
        self.settings = settings
        self.database = database
        self.limits = limits
        self.seen = Seen()
        self.topic = Topic(settings)
        self.broadcaster = Broadcaster(settings)
        self.positions = Positions(settings)
        self.streamed_until: dt.datetime | None = None
        self.started_claim: int | None = None
        self.promised_since: dt.datetime | None = None

    @asynccontextmanager
    async def streaming(
        self,
        *,
        claim: int = CLAIM,
        mode: ReplicationMode = ReplicationMode.DURABLE,
        planned: bool = True,
        limits: Limits = UNLIMITED,
        **bounds: Any,
    ) -> AsyncIterator[Stream]:
        """A stream under a claim, for as long as it is entered."""
        async with self.connected(claim) as connection:
            stream = await self.open(connection, claim, mode, limits, **bounds)
            try:
                yield stream
            finally:
                await stream.close(planned=planned)

    @asynccontextmanager
    async def connected(self, claim: int = CLAIM) -> AsyncIterator[TenantConnection]:
        connection = await TenantConnection.open(self.database, tenant=TENANT, claim=claim, limits=self.limits.session)
        try:
            yield connection
        finally:
            await connection.close()

    async def open(
        self,
        connection: TenantConnection,
        claim: int = CLAIM,
        mode: ReplicationMode = ReplicationMode.DURABLE,
        limits: Limits = UNLIMITED,
        **bounds: Any,
    ) -> Stream:
        await self.positions.fence(partition_of(TENANT, self.settings.partitions), claim)
        order = StreamOrder(
            tenant=TENANT,
            claim=claim,
            database=self.database,
            limits=limits,
            mode=mode,
            borrow=connection.session,
            broadcaster=self.broadcaster,
            positions=self.positions,
            streamed_until=self.streamed_until,
            started_claim=self.started_claim,
            now=lambda: dt.datetime.now(dt.UTC),
            observer=self.seen,
            promised_since=self.promised_since,
        )
        stream = await Stream.open(order, replace(self.limits, **bounds))
        self.streamed_until, self.started_claim = order.now(), claim
        return stream

    async def broadcast_once(self, session: Any) -> None:
        """Stream a first row: the producer has met the broker."""
        async with self.streaming():
            await self.topic.has(await insert(session))

    async def close(self) -> None:
        await self.broadcaster.close()
        await self.positions.close()
        self.topic.close()


@asynccontextmanager
async def scene_of(
    kafka: KafkaServer, database: Database, limits: StreamLimits = LIMITS, **settings: Any
) -> AsyncIterator[Scene]:
    made = Scene(fresh_region(kafka, "replication", **settings), database, limits)
    try:
        yield made
    finally:
        await made.close()


async def insert(session: Any, rows: int = 1) -> list[str]:
    """Write rows; gives their ids."""
    return [str(uuid.UUID(str(await session.fetchval(INSERT)))) for _ in range(rows)]


async def slots(session: Any) -> int:
    """How many slots the whole server has of this database."""
    return int(await session.fetchval("select count(*) from pg_replication_slots where database = current_database()"))
