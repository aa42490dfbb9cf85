"""The one way of a worker's broadcasts to Kafka.

Records wait for Kafka for as long as it takes: there is no time after which one is given up, only a window that fills,
so that reading the WAL pauses. A producer that can be used no more fails every outbox that was opened on it, once and
loudly; the streams are begun again from their resume points, on a new producer.

Source: KIP-98 (idempotent producer).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog
from confluent_kafka import KafkaError, Producer

from streams.errors import DeliveryFailed
from streams.kafka.clients import QUEUE_KILOBYTES_MAX, producer
from streams.kafka.partitioner import partition_of
from streams.replication.deliveries import RECONNECT_MS_MAX, Deliveries
from streams.replication.outbox import Lane, Outbox, OutboxObserver, Outstanding, Sent
from streams.replication.window import RECORD_OVERHEAD_BYTES, Window
from streams.settings import Settings
from streams.topics import Topics

BATCH_BYTES_MAX: Final = 64 * 1024
"""Bytes of the records that travel together. A larger record travels alone, so that a refusal for its size is its own;
larger batches measured no faster."""

RENEWAL_PAUSE_S: Final = 5.0
"""How long after a failure no outbox is opened: what made one producer fail may make the next fail."""

CLOSE_TIMEOUT_S: Final = 5.0
"""How long closing waits for records on their way."""

log = structlog.get_logger(__name__)


class Broadcaster:
    """Sends the broadcasts of all streams of a worker, and tells each of its acknowledgements.

    Args:
        settings: where Kafka is, the region's topic, and how much may be on its way.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lane: Lane | None = None
        self._outboxes: set[Outbox] = set()
        self._failure: DeliveryFailed | None = None
        self._failed_at = 0.0
        self._ending: set[asyncio.Task[int]] = set()
        self._closed = False

    @property
    def unacknowledged(self) -> Outstanding:
        """What all streams have on its way."""
        if self._lane is None:
            return Outstanding(0, 0)
        return Outstanding(self._lane.total.records, self._lane.total.bytes)

    def open(self, tenant: str, observer: OutboxObserver, lsn: int = 0) -> Outbox:
        """An outbox for one stream of a tenant; it is to be closed.

        Args:
            tenant: whose records; their key.
            observer: is told of them.
            lsn: everything at or below it counts as acknowledged.

        Raises:
            DeliveryFailed: Kafka refuses the worker's records, or the worker ends.
        """
        lane = self._open_lane()
        settings = self._settings
        window = Window(settings.broadcasts_in_flight_max, settings.broadcast_bytes_in_flight_max)
        outbox = Outbox(lane, tenant, partition_of(tenant, settings.partitions), window, observer, lsn)
        self._outboxes.add(outbox)
        outbox.failure.add_done_callback(lambda _: self._outboxes.discard(outbox))
        return outbox

    async def close(self) -> None:
        """Wait for what is on its way, within `CLOSE_TIMEOUT_S`, and end. Every outbox fails."""
        self._closed = True
        left = 0 if self._lane is None else await self._lane.deliveries.close(CLOSE_TIMEOUT_S)
        self._lane = None
        self._fail_outboxes(DeliveryFailed("the worker ends"))
        await asyncio.gather(*self._ending)
        if left:
            log.warning("broadcasts.abandoned", records=left)

    def _open_lane(self) -> Lane:
        if self._closed:
            raise DeliveryFailed("the worker ends")
        if self._lane is None:
            if self._failure is not None and asyncio.get_running_loop().time() < self._failed_at + RENEWAL_PAUSE_S:
                raise self._failure
            bytes_max = self._settings.broadcast_bytes_per_worker_max
            total = Window(max(1, bytes_max // RECORD_OVERHEAD_BYTES), bytes_max)
            deliveries = Deliveries(_producer(self._settings), self._settle)
            self._lane = Lane(Topics(self._settings).broadcasts, deliveries, total, self._refused)
        return self._lane

    def _refused(self, sent: Sent) -> None:
        """A record was refused before it left; its sender goes on before it is told."""
        lane = self._lane
        if lane is not None and sent.error is not None:
            if _is_its_own(sent, sent.error):
                asyncio.get_running_loop().call_soon(self._settle, lane.deliveries, [sent])
            else:
                self._fail(lane, sent.error)

    def _settle(self, deliveries: Deliveries, burst: Sequence[Sent]) -> None:
        lane = self._lane
        if lane is None or deliveries is not lane.deliveries:
            return
        touched: dict[Outbox, None] = {}
        failed: KafkaError | None = None
        for sent in burst:
            if sent.error is not None and not _is_its_own(sent, sent.error):
                failed = sent.error
                break
            sent.settled = True
            touched[sent.outbox] = None
        reopened = False
        for outbox in touched:
            reopened |= lane.total.remove(*outbox.settle())
        if reopened:
            for outbox in self._outboxes:
                outbox.wake()
        if failed is not None and not self._closed:
            self._fail(lane, failed)

    def _fail(self, lane: Lane, error: KafkaError) -> None:
        self._lane = None
        self._failed_at = asyncio.get_running_loop().time()
        self._failure = DeliveryFailed(f"Kafka refused a broadcast, streams are begun again: {error.str()}")
        log.error("broadcasts.failed", code=self._failure.code, message=str(self._failure))
        self._fail_outboxes(self._failure)
        ending = asyncio.get_running_loop().create_task(lane.deliveries.close(0.0))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    def _fail_outboxes(self, failure: DeliveryFailed) -> None:
        for outbox in tuple(self._outboxes):
            outbox.fail(failure)


def _producer(settings: Settings) -> Producer:
    return producer(
        settings,
        delivery_timeout_ms=0,
        linger_ms=settings.broadcast_linger_ms,
        batch_size=BATCH_BYTES_MAX,
        reconnect_backoff_max_ms=RECONNECT_MS_MAX,
        # What may wait is bounded by the windows.
        queue_buffering_max_messages=0,
        queue_buffering_max_kbytes=QUEUE_KILOBYTES_MAX,
    )


def _is_its_own(sent: Sent, error: KafkaError) -> bool:
    """Whether a record is refused for what it is itself: then nothing else has to fail with it."""
    if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
        # A smaller one was refused together with others: the topic takes less than it is declared to.
        return sent.size > BATCH_BYTES_MAX
    return error.code() == KafkaError.INVALID_RECORD
