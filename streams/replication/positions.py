"""The points to resume tenants' streams from: kept in a compacted topic, read once for each claim, behind its fence.

Whoever takes a partition first appends a fence, and then reads what is before it. A deposed owner that goes on writing
stands behind the fence with an older claim, and counts for nothing; see `streams.replication.points`.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

import structlog
from confluent_kafka import KafkaError, KafkaException, Message

from streams.errors import DeliveryFailed, OwnershipLost, WaitExpired
from streams.kafka.clients import producer
from streams.kafka.partitioner import partition_of
from streams.replication.deliveries import RECONNECT_MS_MAX, Deliveries, Delivery
from streams.replication.points import Points
from streams.replication.reading import read_points
from streams.settings import Settings
from streams.topics import Topics
from streams.wire.position import ResumePoint, encode_fence, encode_position, fence_key

READERS_MAX: Final = 4
"""Partitions that are read at the same time."""

ANSWER_SPARE_S: Final = 5.0
"""How much longer than its delivery may take an acknowledgement is waited for, in seconds."""

FENCES_REMOVED_MAX: Final = 1_000
"""Old fences that are removed after one reading; what is left is removed after the next."""

TOKEN_BYTES: Final = 8
"""Randomness that tells the fences of one claim apart."""

CLOSE_TIMEOUT_S: Final = 2.0
"""How long closing waits for records on their way."""

log = structlog.get_logger(__name__)


class _Standing(NamedTuple):
    """What is known of a partition, and under which claim."""

    claim: int
    points: dict[str, ResumePoint]


class _Write(Delivery):
    """A record on its way, and its offset once it is acknowledged."""

    __slots__ = ("acknowledged", "offset")

    def __init__(self, reports: Deliveries) -> None:
        super().__init__(reports)
        self.offset: int | None = None
        self.acknowledged: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def __call__(self, error: KafkaError | None, message: Message | None) -> None:
        """Take the report."""
        self.offset = None if message is None else message.offset()
        super().__call__(error, message)


class Positions:
    """The resume points of the partitions that this worker streams for.

    Args:
        settings: where Kafka is, the region's topic, and how long a delivery may take.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topic = Topics(settings).positions
        self._standing: dict[int, _Standing] = {}
        self._wanted: dict[int, int] = {}
        self._deliveries: Deliveries | None = None
        self._ending: set[asyncio.Task[int]] = set()
        self._closing = threading.Event()
        self._readers = ThreadPoolExecutor(READERS_MAX, "positions")

    async def fence(self, partition: int, claim: int) -> None:
        """Append the fence of a claim, and read what counts before it. A partition that is fenced is left as it is.

        Raises:
            OwnershipLost: a newer claim was fenced before, or the partition was let go of meanwhile.
            DeliveryFailed: Kafka did not acknowledge the fence.
            KafkaRefused: Kafka refused to be read.
            WaitExpired: Kafka did not answer in time.
        """
        standing = self._standing.get(partition)
        if standing is not None and standing.claim == claim:
            return
        self.forget(partition)
        self._wanted[partition] = claim
        key = fence_key(claim, secrets.token_hex(TOKEN_BYTES))
        offset = await self._append(partition, key, encode_fence(claim))
        points = await self._read(partition, offset)
        if points.fence > claim or self._wanted.get(partition) != claim:
            raise OwnershipLost(f"{self._topic}:{partition}: claim {claim} is not the newest any more")
        self._standing[partition] = _Standing(claim, points.by_tenant)
        self._remove_fences(partition, points, key)

    def point(self, tenant: str) -> ResumePoint | None:
        """The tenant's point that counts, None where there is none.

        Raises:
            OwnershipLost: the tenant's partition is not fenced by this worker.
        """
        return self._of(tenant).points.get(tenant)

    async def write(self, point: ResumePoint) -> None:
        """Write a point; it is acknowledged when this returns.

        Raises:
            OwnershipLost: the partition is not fenced under the point's claim.
            DeliveryFailed: Kafka did not acknowledge it.
            WaitExpired: Kafka did not answer in time.
        """
        standing = self._of(point.tenant)
        if standing.claim != point.claim:
            raise OwnershipLost(f"a point of claim {point.claim}, where {standing.claim} is fenced")
        await self._append(self._partition(point.tenant), point.tenant.encode(), encode_position(point))
        standing.points[point.tenant] = point

    async def remove(self, tenant: str) -> None:
        """Remove the point of a tenant that is no more.

        Raises:
            DeliveryFailed: Kafka did not acknowledge it.
            WaitExpired: Kafka did not answer in time.
        """
        partition = self._partition(tenant)
        await self._append(partition, tenant.encode(), None)
        standing = self._standing.get(partition)
        if standing is not None:
            standing.points.pop(tenant, None)

    def forget(self, partition: int) -> None:
        """Let go of a partition."""
        self._wanted.pop(partition, None)
        self._standing.pop(partition, None)

    async def close(self) -> None:
        """Wait for what is on its way, within `CLOSE_TIMEOUT_S`, and end."""
        self._closing.set()
        self._readers.shutdown(wait=False)
        if self._deliveries is not None:
            await self._deliveries.close(CLOSE_TIMEOUT_S)
        await asyncio.gather(*self._ending)

    def _partition(self, tenant: str) -> int:
        return partition_of(tenant, self._settings.partitions)

    def _of(self, tenant: str) -> _Standing:
        partition = self._partition(tenant)
        standing = self._standing.get(partition)
        if standing is None:
            raise OwnershipLost(f"{self._topic}:{partition} is not fenced by this worker")
        return standing

    async def _read(self, partition: int, offset: int) -> Points:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._readers, read_points, self._settings, self._topic, partition, offset, self._closing
        )

    async def _append(self, partition: int, key: bytes, value: bytes | None) -> int:
        write = self._send(partition, key, value)
        limit_s = self._settings.delivery_timeout_ms / 1000 + ANSWER_SPARE_S
        try:
            async with asyncio.timeout(limit_s):
                return await write.acknowledged
        except TimeoutError:
            raise WaitExpired(f"{self._topic}:{partition}: no acknowledgement within {limit_s:.0f} s") from None

    def _send(self, partition: int, key: bytes, value: bytes | None) -> _Write:
        if self._closing.is_set():
            raise DeliveryFailed("the worker ends")
        if self._deliveries is None:
            client = producer(self._settings, reconnect_backoff_max_ms=RECONNECT_MS_MAX)
            self._deliveries = Deliveries(client, self._settled)
        write = _Write(self._deliveries)
        try:
            self._deliveries.producer.produce(self._topic, value, key, partition, write)
        except (BufferError, KafkaException) as error:
            self._renew()
            raise DeliveryFailed(f"{self._topic}:{partition}: {error}") from error
        return write

    def _settled(self, deliveries: Deliveries, burst: Sequence[_Write]) -> None:
        for write in burst:
            if write.acknowledged.done():
                continue
            if write.error is None and write.offset is not None:
                write.acknowledged.set_result(write.offset)
            else:
                problem = "no offset" if write.error is None else write.error.str()
                write.acknowledged.set_exception(DeliveryFailed(f"{self._topic}: {problem}"))
                # Who has given up waiting does not ask.
                write.acknowledged.exception()
        if deliveries is self._deliveries and any(write.error is not None and write.error.fatal() for write in burst):
            self._renew()

    def _renew(self) -> None:
        """Take a new producer for the next record: a fatal error is for ever."""
        deliveries, self._deliveries = self._deliveries, None
        if deliveries is not None:
            ending = asyncio.get_running_loop().create_task(deliveries.close(0.0))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    def _remove_fences(self, partition: int, points: Points, own: bytes) -> None:
        """Remove the fences that make no point void any more, that compaction may have the topic small.

        Nobody waits for it: a fence too many does no harm.
        """
        if points.void:
            return
        try:
            for key in sorted(points.fences - {own})[:FENCES_REMOVED_MAX]:
                self._send(partition, key, None)
        except DeliveryFailed as error:
            log.warning("fences.kept", partition=partition, code=error.code, message=str(error))
