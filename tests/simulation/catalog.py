"""The tenants' topic: what is written there, and the consumer with which a worker's view follows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from confluent_kafka import KafkaError, TopicPartition
from pydantic import SecretStr

from streams.catalog.crypto import Cipher
from streams.catalog.entry import CatalogEntry, Database, Replication, ReplicationMode, Tls
from streams.catalog.record import encode
from tests.simulation.broker import Broker, Place, Stored

if TYPE_CHECKING:
    from tests.simulation.process import Process

HERE: Final = "local"
"""The region of all workers."""

ELSEWHERE: Final = "us-east-1"
"""A platform region that another region serves."""


class Catalog:
    """What is known of every tenant, written to the tenants' topic.

    Args:
        broker: where it is written.
        topic: the tenants' topic.
        cipher: encrypts credentials.
        place_of: the partition of a tenant.

    Attributes:
        unwanted: tenants that are not to be connected as their entries are now.
        moved: tenants that another region ever served.
    """

    def __init__(self, broker: Broker, topic: str, cipher: Cipher, place_of: Callable[[str], int]) -> None:
        self.unwanted: set[str] = set()
        self.moved: set[str] = set()
        self._broker = broker
        self._topic = topic
        self._cipher = cipher
        self._place_of = place_of
        self._entries: dict[str, CatalogEntry] = {}

    def put(self, tenant: str, host: str, mode: ReplicationMode) -> None:
        """A tenant whose database is at ``host``."""
        database = Database.model_validate(
            {"host": host, "name": tenant, "user": "tenant", "password": "0", "tls": Tls.DISABLE}
        )
        replication = Replication(mode=mode)
        self._write(CatalogEntry(tenant=tenant, region=HERE, database=database, replication=replication))

    def suspend(self, tenant: str) -> None:
        """It is not to be connected."""
        self.unwanted.add(tenant)
        self._write(self._entries[tenant].model_copy(update={"suspended": True}))

    def move(self, tenant: str) -> None:
        """Another region serves it."""
        self.unwanted.add(tenant)
        self.moved.add(tenant)
        self._write(self._entries[tenant].model_copy(update={"region": ELSEWHERE}))

    def change(self, tenant: str) -> None:
        """Its password is another one, so it is to be connected anew."""
        entry = self._entries[tenant]
        password = SecretStr(str(int(entry.database.password.get_secret_value()) + 1))
        database = entry.database.model_copy(update={"password": password})
        self._write(entry.model_copy(update={"database": database}))

    def want(self, tenant: str) -> None:
        """It is to be connected, here."""
        if tenant in self.unwanted:
            self.unwanted.discard(tenant)
            self._write(self._entries[tenant].model_copy(update={"suspended": False, "region": HERE}))

    def _write(self, entry: CatalogEntry) -> None:
        self._entries[entry.tenant] = entry
        place = self._place_of(entry.tenant)
        self._broker.append(self._topic, place, entry.tenant.encode(), encode(entry, self._cipher))


class _Message:
    """A record as librdkafka hands it over, or the news that a partition has no more."""

    def __init__(self, partition: int, offset: int, stored: Stored | None) -> None:
        self._partition = partition
        self._offset = offset
        self._stored = stored

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset

    def error(self) -> KafkaError | None:
        return None if self._stored is not None else KafkaError(KafkaError._PARTITION_EOF)

    def key(self) -> bytes | None:
        return None if self._stored is None else self._stored.key

    def value(self) -> bytes | None:
        return None if self._stored is None else self._stored.value


class CatalogConsumer:
    """confluent-kafka's `Consumer`, as `streams.catalog.view` reads the tenants' topic with it.

    Args:
        process: whose thread reads.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self._positions: dict[Place, int] = {}
        self._ended: set[Place] = set()

    def assign(self, places: list[TopicPartition]) -> None:
        """Read these, from the beginning."""
        self._positions = {(place.topic, place.partition): 0 for place in places}

    def poll(self, _timeout_s: float) -> _Message | None:
        """The next record; where there is none, the news of it, a turn later and once."""
        for place, position in self._positions.items():
            records = self._process.world.broker.partitions[place]
            if position < len(records) and self._process.link.hears:
                self._positions[place] = position + 1
                self._ended.discard(place)
                return _Message(place[1], position, records[position])
        self._process.turn.wait()
        for place, position in self._positions.items():
            if place not in self._ended and self._process.link.hears:
                self._ended.add(place)
                return _Message(place[1], position, None)
        return None

    def close(self) -> None:
        """Stop reading."""
