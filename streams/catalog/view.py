"""The catalog as a worker sees it: followed live, and exact on demand.

A worker reads every partition of the tenants' topic by itself, outside any consumer group. Where an answer
must not miss what was acknowledged before, it asks where the partition ends and waits until it is there.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.catalog.record import CatalogSummary, summary
from streams.errors import CatalogUnreadable, KafkaUnreachable, RuntimeFailure
from streams.kafka.partitioner import partition_of
from streams.log.ends import Ends

_LOGGER: Final = logging.getLogger(__name__)

POLL_INTERVAL_S: Final = 0.1
"""How long the reading thread waits for a record before it looks whether it should stop."""

CATCH_UP_TIMEOUT_S: Final = 10.0
"""How long an exact answer may wait for the view."""


READ_TIMEOUT_S: Final = 60.0
"""How long the view may take to read all that there is when it starts."""


class _Target(NamedTuple):
    partition: int
    offset: int
    reached: asyncio.Future[None]


class CatalogView:
    """Every tenant's record, as far as it was read.

    Args:
        configuration: librdkafka properties of a consumer outside any group.
        topic: the tenants' topic.
        partitions: its number of partitions.
        ends: the read index.
        failed: told, in the event loop, when reading cannot go on.
        changed: told, in the event loop, which tenant's record is a new one, once all older ones were read.
    """

    def __init__(
        self,
        configuration: dict[str, Any],
        topic: str,
        partitions: int,
        ends: Ends,
        failed: Callable[[Exception], None],
        changed: Callable[[str], None],
    ) -> None:
        self._consumer = Consumer({**configuration, "enable.partition.eof": True}, logger=_LOGGER)
        self._topic = topic
        self._partitions = partitions
        self._ends = ends
        self._failed = failed
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._values: dict[str, bytes] = {}
        self._summaries: dict[str, tuple[bytes, CatalogSummary]] = {}
        self._positions = dict.fromkeys(range(partitions), 0)
        self._live: set[int] = set()
        self._read = asyncio.Event()
        self._targets: list[_Target] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="catalog", daemon=True)

    def start(self) -> None:
        """Begin to read, from the beginning."""
        self._consumer.assign(
            [TopicPartition(self._topic, partition, OFFSET_BEGINNING) for partition in range(self._partitions)]
        )
        self._thread.start()

    async def close(self) -> None:
        """Stop reading."""
        self._closing.set()
        await asyncio.to_thread(self._thread.join, 10 * POLL_INTERVAL_S)
        self._consumer.close()

    async def caught_up(self) -> None:
        """Return when all that there was at the start was read: a tenant that is not known by then is unknown.

        Raises:
            KafkaUnreachable: it was not so within `READ_TIMEOUT_S`.
        """
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                await self._read.wait()
        except TimeoutError:
            raise KafkaUnreachable(f"{self._topic} was not read to its end within {READ_TIMEOUT_S:g} s") from None

    def summary(self, tenant: str) -> CatalogSummary | None:
        """What is known of the tenant without its credentials, None for nothing yet."""
        value = self._values.get(tenant)
        if value is None:
            self._summaries.pop(tenant, None)
            return None
        found = self._summaries.get(tenant)
        if found is None or found[0] is not value:
            found = self._summaries[tenant] = (value, summary(value))
        return found[1]

    async def record(self, tenant: str) -> bytes | None:
        """The tenant's record, None for no such tenant; nothing acknowledged before the call is missing.

        Raises:
            KafkaUnreachable: no broker answered, or the view did not get there in time.
        """
        partition = partition_of(tenant, self._partitions)
        end = await self._ends.end(self._topic, partition)
        await self._reach(partition, end)
        return self._values.get(tenant)

    async def _reach(self, partition: int, offset: int) -> None:
        target = _Target(partition, offset, self._loop.create_future())
        with self._lock:
            if self._positions[partition] >= offset:
                return
            self._targets.append(target)
        try:
            async with asyncio.timeout(CATCH_UP_TIMEOUT_S):
                await target.reached
        except TimeoutError:
            with self._lock:
                self._targets = [waiting for waiting in self._targets if waiting is not target]
            raise KafkaUnreachable(f"{self._topic}:{partition} was not read up to {offset} in time") from None

    def _follow(self) -> None:
        try:
            while not self._closing.is_set():
                message = self._consumer.poll(POLL_INTERVAL_S)
                if message is not None:
                    self._apply(message)
        except (KafkaException, RuntimeFailure) as error:
            self._loop.call_soon_threadsafe(self._failed, error)

    def _apply(self, message: Message) -> None:
        partition, offset, error = message.partition(), message.offset(), message.error()
        if partition is None or offset is None or (error is not None and error.code() != KafkaError._PARTITION_EOF):  # noqa: SLF001  its public name
            if error is not None and error.fatal():
                raise KafkaUnreachable(error.str())
            return
        if error is None:
            self._store(message)
            offset += 1
        else:
            self._live.add(partition)
            if len(self._live) == self._partitions:
                self._loop.call_soon_threadsafe(self._read.set)
        with self._lock:
            self._positions[partition] = max(self._positions[partition], offset)
            reached = [target for target in self._targets if self._positions[target.partition] >= target.offset]
            self._targets = [target for target in self._targets if target not in reached]
        for target in reached:
            self._loop.call_soon_threadsafe(_resolve, target.reached)

    def _store(self, message: Message) -> None:
        key: Any = message.key()
        value: Any = message.value()
        if key is None:
            return
        tenant = key.decode(errors="replace")
        if value is None:
            self._values.pop(tenant, None)
        else:
            self._values[tenant] = value
        # What is read before the end was reached is the past: an entry that is over must stop nobody.
        if message.partition() in self._live:
            self._loop.call_soon_threadsafe(self._changed, tenant)


def _resolve(reached: asyncio.Future[None]) -> None:
    if not reached.done():
        reached.set_result(None)


def region_of(view: CatalogView, tenant: str) -> str | None:
    """The tenant's platform region, None where the catalog has none that can be read."""
    try:
        found = view.summary(tenant)
    except CatalogUnreadable:
        return None
    return None if found is None else found.region
