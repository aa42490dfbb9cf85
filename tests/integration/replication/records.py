"""Streams that are made up: what they send, what they are told, and what stands on the topic in the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from streams.kafka.clients import consumer_configuration
from streams.log.reader import open_consumer, read, stretches
from streams.replication.broadcaster import Broadcaster
from streams.replication.outbox import Dropped, Outbox
from streams.settings import Settings
from streams.topics import Topics


class Told:
    """What a stream was told of its records.

    Attributes:
        bursts: the tags of what was acknowledged, burst by burst.
        refused: what was dropped.
    """

    def __init__(self) -> None:
        self.bursts: list[list[Any]] = []
        self.refused: list[Dropped] = []

    @property
    def tags(self) -> list[Any]:
        """What was acknowledged, in the order of the telling."""
        return [tag for burst in self.bursts for tag in burst]

    def acknowledged(self, tags: Sequence[Any]) -> None:
        self.bursts.append(list(tags))

    def dropped(self, dropped: Dropped) -> None:
        self.refused.append(dropped)


@asynccontextmanager
async def broadcasting(settings: Settings) -> AsyncIterator[Broadcaster]:
    broadcaster = Broadcaster(settings)
    try:
        yield broadcaster
    finally:
        await broadcaster.close()


async def send_all(outbox: Outbox, numbers: Iterable[int], size: int = 0) -> None:
    """A transaction for each number: its LSN, its value and its tag; filled up to so many bytes."""
    for number in numbers:
        if outbox.full:
            await outbox.room()
        outbox.send(number, f"{number}".encode().ljust(size), number)
        outbox.seal(number)


def broadcasts(settings: Settings) -> dict[bytes | None, list[bytes]]:
    """What stands on the topic, by key, in its order."""
    topic = Topics(settings).broadcasts
    with open_consumer(consumer_configuration(settings, "test")) as consumer:
        found: dict[bytes | None, list[bytes]] = {}
        for record in read(consumer, topic, stretches(consumer, topic)):
            found.setdefault(record.key, []).append((record.value or b"").rstrip())
    return found


def values(numbers: Sequence[int]) -> list[bytes]:
    return [f"{number}".encode() for number in numbers]
