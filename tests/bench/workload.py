"""What both sides are given: a stream of commands of which each leads to exactly one event, and a catalog."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

from confluent_kafka import Producer
from pydantic import SecretStr

from streams.catalog import record
from streams.catalog.crypto import Cipher
from streams.catalog.entry import CatalogEntry, Database
from streams.kafka.clients import producer
from streams.kafka.partitioner import partition_of
from streams.settings import Settings

PAUSE: Final = b'{"type":"pause"}'
RESUME: Final = b'{"type":"resume"}'

RECORDS_PER_CALL_MAX: Final = 10_000
"""Records handed to librdkafka at once; ten calls fill its queue."""

FLUSH_TIMEOUT_S: Final = 60.0
"""How long the broker may take to acknowledge what was handed over."""

Keyed = tuple[str, int, bytes]
"""Key, partition, value."""


class Workload(NamedTuple):
    """Commands of many tenants in turn: each tenant is paused, resumed, paused, and so on.

    Attributes:
        commands: number of commands.
        tenants: number of tenants.
        partitions: number of partitions of every topic.
    """

    commands: int
    tenants: int
    partitions: int

    def stream(self) -> Iterator[Keyed]:
        """The commands, in their order."""
        keys = [(name, partition_of(name, self.partitions)) for name in self.names()]
        for index in range(self.commands):
            name, partition = keys[index % self.tenants]
            yield name, partition, RESUME if index // self.tenants % 2 else PAUSE

    def names(self) -> list[str]:
        """The tenants' ids."""
        return [f"tenant-{number:06}" for number in range(self.tenants)]

    def expected(self) -> dict[str, int]:
        """How many events each tenant must have in the end; tenants without any are left out."""
        whole, rest = divmod(self.commands, self.tenants)
        counts = {name: whole + (index < rest) for index, name in enumerate(self.names())}
        return {name: count for name, count in counts.items() if count}

    def catalog(self, region: str) -> list[Keyed]:
        """Records that place every tenant in ``region``; nobody connects to the databases that they name."""
        cipher = Cipher({"bench": SecretStr(base64.b64encode(secrets.token_bytes(32)).decode())})
        database = Database(host="127.0.0.1", name="bench", user="bench", password=SecretStr("unused"))
        return [
            (name, partition_of(name, self.partitions), record.encode(_entry(name, region, database), cipher))
            for name in self.names()
        ]


def _entry(name: str, region: str, database: Database) -> CatalogEntry:
    return CatalogEntry(tenant=name, region=region, database=database)


def load(settings: Settings, topic: str, records: Iterable[Keyed]) -> None:
    """Write records to a topic and return when the broker has acknowledged all of them.

    Raises:
        TimeoutError: it did not, within `FLUSH_TIMEOUT_S`.
    """
    writer = producer(settings)
    remaining = iter(records)
    while batch := list(islice(remaining, RECORDS_PER_CALL_MAX)):
        messages: list[dict[str, Any]] = [
            {"key": key, "partition": place, "value": value} for key, place, value in batch
        ]
        writer.produce_batch(topic, messages)
        _flush(writer, topic)


def _flush(writer: Producer, topic: str) -> None:
    left = writer.flush(FLUSH_TIMEOUT_S)
    if left:
        raise TimeoutError(f"{topic}: {left} records were not acknowledged within {FLUSH_TIMEOUT_S:.0f} s")
