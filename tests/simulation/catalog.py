"""The tenants' topic, and the view of it that each worker keeps: the real one, fed without a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from streams.catalog.crypto import Cipher
from streams.catalog.entry import CatalogEntry, Database, Tls
from streams.catalog.record import encode, suspended
from streams.catalog.view import CatalogView
from streams.log.ends import Ends
from tests.simulation.broker import Broker, Stored
from tests.simulation.link import RETRY_S, Link
from tests.simulation.scheduler import Scheduler

PLATFORM_REGION: Final = "local"


class Catalog:
    """What is known of every tenant, written to the tenants' topic.

    Args:
        broker: where it is written.
        topic: the tenants' topic.
        cipher: encrypts credentials.
        place_of: the partition of a tenant.
    """

    def __init__(self, broker: Broker, topic: str, cipher: Cipher, place_of: Callable[[str], int]) -> None:
        self.suspended: set[str] = set()
        self._broker = broker
        self._topic = topic
        self._cipher = cipher
        self._place_of = place_of
        self._records: dict[str, bytes] = {}

    def put(self, tenant: str, host: str) -> None:
        """A tenant whose database is at ``host``."""
        database = Database.model_validate(
            {"host": host, "name": tenant, "user": "tenant", "password": "secret", "tls": Tls.DISABLE}
        )
        self._records[tenant] = encode(
            CatalogEntry(tenant=tenant, region=PLATFORM_REGION, database=database), self._cipher
        )
        self._write(tenant)

    def suspend(self, tenant: str, *, to: bool) -> None:
        """Suspend a tenant, or not any more."""
        (self.suspended.add if to else self.suspended.discard)(tenant)
        self._records[tenant] = suspended(self._records[tenant], to=to)
        self._write(tenant)

    def _write(self, tenant: str) -> None:
        self._broker.append(self._topic, self._place_of(tenant), tenant.encode(), self._records[tenant])


class _Message:
    """A record as librdkafka hands it over."""

    def __init__(self, stored: Stored) -> None:
        self._stored = stored

    def partition(self) -> int:
        return self._stored.partition

    def offset(self) -> int:
        return self._stored.offset

    def error(self) -> None:
        return None

    def key(self) -> bytes | None:
        return self._stored.key

    def value(self) -> bytes | None:
        return self._stored.value


class SimulatedView(CatalogView):
    """A worker's view: the same, but records are put in where the real one's thread would fetch them.

    Args:
        scheduler: virtual time.
        broker: who is read.
        link: the process's network.
        topic: the tenants' topic.
        partitions: its number of partitions.
        ends: the read index.
        failed: told when reading cannot go on.
        changed: told which tenant's record is a new one.
    """

    def __init__(  # the real constructor opens a consumer and a thread
        self,
        scheduler: Scheduler,
        broker: Broker,
        link: Link,
        topic: str,
        partitions: int,
        ends: Ends,
        failed: Callable[[Exception], None],
        changed: Callable[[str], None],
    ) -> None:
        self._topic = topic
        self._partitions = partitions
        self._ends = ends
        self._failed = failed
        self._changed = changed
        self._loop = link.loop
        self._values: dict[str, bytes] = {}
        self._summaries: dict[str, Any] = {}
        self._positions = dict.fromkeys(range(partitions), 0)
        self._targets: list[Any] = []
        self._lock = threading.Lock()
        self._scheduler = scheduler
        self._broker = broker
        self._link = link

    def __str__(self) -> str:
        return f"{self._link}'s catalog"

    def start(self) -> None:
        """Read from the beginning, then follow."""
        self._broker.watchers[self._topic].append(self._written)
        for partition in range(self._partitions):
            for stored in self._broker.partitions[self._topic, partition]:
                self._written(stored)

    async def close(self) -> None:
        """Stop reading."""
        self._broker.watchers[self._topic].remove(self._written)

    def _written(self, stored: Stored) -> None:
        self._scheduler.soon(self._arrive, stored)

    def _arrive(self, stored: Stored) -> None:
        if self._link.dead:
            return
        # Records of a partition come in their order.
        if self._link.frozen or not self._link.hears or self._positions[stored.partition] != stored.offset:
            self._scheduler.after(RETRY_S, self._arrive, stored)
            return
        message: Any = _Message(stored)
        self._apply(message)
