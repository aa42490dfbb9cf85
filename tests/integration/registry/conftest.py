from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from statemachine.events import Claimed, ConnectRequested, TenantEventData
from statemachine.partition import PartitionState
from statemachine.state import TenantState
from streams.devstack.kafka.server import KafkaServer
from streams.kafka.administration import apply
from streams.kafka.clients import admin, consumer_configuration, prefix_producer
from streams.log.ends import Ends
from streams.log.producer import LogProducer
from streams.log.reader import Record, Stretch, open_consumer, read
from streams.registry.partition import Cause, Flight, OwnedPartition, Surroundings, fold_records
from streams.settings import Settings
from streams.topics import Topics
from streams.wire.event import Origin, encode_claim, encode_event, source_of

REGION: Final = "local"
DEADLINE_S: Final = 20.0


class Interrupted(LogProducer):
    """A producer into whose batches somebody else's records come, one behind each record but the last.

    Attributes:
        between: what comes in between.
    """

    between: bytes | None = None

    def append(self, topic: str, partition: int, records: Sequence[tuple[str | None, bytes]]) -> asyncio.Future[int]:
        if self.between is not None:
            for record in records[:-1]:
                super().append(topic, partition, [record, (None, self.between)])
            records = records[-1:]
        return super().append(topic, partition, records)


class Ground:
    """A log on a real broker: what an owner works with, and the hand of somebody else.

    Attributes:
        failures: what was told to be fatal.
        read_back: the stretches that were read back.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.topic = Topics(settings).events
        self.failures: list[Exception] = []
        self.read_back: list[Stretch] = []
        self.producer = self._new_producer()
        self._foreign = self._new_producer()
        self.surroundings = Surroundings(
            topic=self.topic,
            region=REGION,
            producer=self.producer,
            ends=Ends(admin(settings)),
            gap=self._gap,
            now=now,
            failed=self.failures.append,
            observed=lambda _event, _before: None,
        )

    async def foreign(self, *values: bytes, partition: int = 0) -> int:
        """Somebody else appends; gives the last offset."""
        return await self._foreign.append(self.topic, partition, [(None, value) for value in values])

    async def claim(self, worker: str = "other", generation: int = 1, term: int = 0, partition: int = 0) -> int:
        """Somebody else claims."""
        return await self.foreign(claim_of(worker, generation, term, partition), partition=partition)

    async def owned(self, generation: int = 1, term: int = 0) -> OwnedPartition:
        """The partition, claimed by ``w1`` and recovered."""
        offset = await self.claim("w1", generation, term)
        state = PartitionState(0)
        records = self.records(0, 0, offset + 1)
        fold_records(state, self.topic, records)
        assert state.claim is not None
        assert state.claim.offset == offset
        return OwnedPartition(state, state.claim, self.surroundings, records[-1].value or b"")

    def records(self, partition: int, first: int, end: int) -> list[Record]:
        """What stands on the log."""
        configuration = consumer_configuration(self.settings, "test")
        with open_consumer(configuration) as consumer:
            return list(read(consumer, self.topic, [Stretch(partition, first, end)]))

    def folded(self, end: int, partition: int = 0) -> PartitionState:
        """What another reader makes of the log."""
        state = PartitionState(partition)
        fold_records(state, self.topic, self.records(partition, 0, end))
        return state

    async def close(self) -> None:
        await self.producer.close()
        await self._foreign.close()

    def _gap(self, partition: int, first: int, end: int) -> list[Record]:
        self.read_back.append(Stretch(partition, first, end))
        return self.records(partition, first, end)

    def _new_producer(self) -> Interrupted:
        return Interrupted(prefix_producer(self.settings), DEADLINE_S, self.failures.append)


@pytest.fixture
def settings(kafka: KafkaServer) -> Settings:
    settings = Settings.model_validate(
        {"kafka": kafka.bootstrap, "topic_prefix": f"registry-{secrets.token_hex(4)}", "partitions": 2}
    )
    apply(settings)
    return settings


@pytest.fixture
async def ground(settings: Settings) -> AsyncIterator[Ground]:
    ground = Ground(settings)
    yield ground
    await ground.close()


def now() -> datetime:
    return datetime.now(UTC)


def claim_of(worker: str, generation: int, term: int = 0, partition: int = 0) -> bytes:
    return encode_claim(Claimed(worker, generation, term), source=source_of(REGION, partition), time=now())


def event_of(claim: int, tenant: str = "t1", data: TenantEventData | None = None) -> bytes:
    """An event as somebody writes it who believes to hold ``claim``."""
    origin = Origin(source_of(REGION, 0), claim, "somebody")
    return encode_event(TenantState(tenant), data or ConnectRequested(), now(), origin)[1]


def write(owned: OwnedPartition, *tenants: str) -> Flight:
    """The owner writes one event of each tenant."""
    for tenant in tenants:
        owned.append(owned.state.tenant(tenant), ConnectRequested(), now(), Cause("test"))
    return owned.send()


async def landed(flight: Flight) -> list[int]:
    async with asyncio.timeout(DEADLINE_S):
        return list(await flight.landed)


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)
