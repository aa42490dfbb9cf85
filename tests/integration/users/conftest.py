from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from statemachine.errors import TenantConnectError
from streams.client import ConnectClient
from streams.devstack.kafka.server import KafkaServer
from streams.kafka.clients import consumer_configuration, producer
from streams.kafka.partitioner import partition_of
from streams.log.reader import Record
from streams.settings import Settings
from streams.topics import Topics
from streams.users import Users
from tests.support.region import fresh_region


class Clock:
    """The real time, and what a test adds to it."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class Watcher:
    """Users as a worker follows them, and what it was told of them.

    Attributes:
        users: what is tested.
        clock: its time.
        edges: the tenants that it told, in order.
        unreadable: the records that it told to park, with the code of what is wrong.
        failures: what ended its reading.
    """

    def __init__(self, settings: Settings) -> None:
        self.clock = Clock()
        self.edges: list[str] = []
        self.unreadable: list[tuple[Record, str]] = []
        self.failures: list[Exception] = []
        self.users = Users(
            consumer_configuration(settings, "users"),
            Topics(settings).users,
            settings.partitions,
            self.clock,
            edge=self.edges.append,
            unreadable=self._park,
            failed=self.failures.append,
        )

    def _park(self, record: Record, error: TenantConnectError) -> None:
        self.unreadable.append((record, error.code))


@asynccontextmanager
async def watching(settings: Settings) -> AsyncIterator[Watcher]:
    """A watcher, for as long as it is entered."""
    watcher = Watcher(settings)
    watcher.users.start()
    try:
        yield watcher
    finally:
        await watcher.users.close()
    assert watcher.failures == []


class Topic:
    """The users' topic, written to by hand.

    Args:
        settings: where it is.
    """

    def __init__(self, settings: Settings) -> None:
        self._topic = Topics(settings).users
        self._producer = producer(settings)

    async def write(self, key: bytes | None, value: bytes | None, *, at: datetime | None = None, to: int = -1) -> None:
        """A record, acknowledged when this returns.

        Args:
            key: its key.
            value: its value.
            at: its timestamp; now, when left out.
            to: its partition; its key's, when left out.
        """
        moment = 0 if at is None else int(at.timestamp() * 1000)
        await asyncio.to_thread(self._write, key, value, moment, to)

    def _write(self, key: bytes | None, value: bytes | None, moment: int, partition: int) -> None:
        self._producer.produce(self._topic, value, key, partition, timestamp=moment)
        assert self._producer.flush(10.0) == 0


@pytest.fixture
def settings(kafka: KafkaServer) -> Settings:
    return fresh_region(kafka, "users")


@pytest.fixture
def topic(settings: Settings) -> Topic:
    return Topic(settings)


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[ConnectClient]:
    async with ConnectClient(settings) as client:
        yield client


@pytest.fixture
async def watcher(settings: Settings) -> AsyncIterator[Watcher]:
    """A watcher that follows no partition yet."""
    async with watching(settings) as watcher:
        yield watcher


@pytest.fixture
def partition(settings: Settings) -> int:
    """The partition of tenant ``t1``."""
    return partition_of("t1", settings.partitions)
