"""One stream's records on their way to Kafka: how many there may be, and up to where they are acknowledged."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from confluent_kafka import KafkaError, KafkaException

from streams.errors import DeliveryFailed
from streams.replication.deliveries import Deliveries, Delivery
from streams.replication.rows import RowCode
from streams.replication.window import RECORD_OVERHEAD_BYTES, Window


class Outstanding(NamedTuple):
    """Records that Kafka has not acknowledged.

    Attributes:
        records: how many.
        bytes: their values, and `RECORD_OVERHEAD_BYTES` each.
    """

    records: int
    bytes: int


class Dropped(NamedTuple):
    """A record that Kafka refused for good; it counts as settled, and the stream goes on.

    Attributes:
        code: why.
        message: the same in words.
        lsn: of its row.
        tag: what the sender gave with it.
    """

    code: RowCode
    message: str
    lsn: int
    tag: Any


class OutboxObserver(Protocol):
    """Is told what becomes of a stream's records, on the event loop; must be quick and raise nothing."""

    def acknowledged(self, tags: Sequence[Any]) -> None:
        """These were acknowledged, in the order in which they were sent; told once for each burst."""

    def dropped(self, dropped: Dropped) -> None:
        """This one was refused."""


class Lane(NamedTuple):
    """What the outboxes of a worker share.

    Attributes:
        topic: where the records go.
        deliveries: the producer.
        total: what all of them have on its way.
        refused: takes a record that was refused before it left.
    """

    topic: str
    deliveries: Deliveries
    total: Window
    refused: Callable[[Sent], None]


class Sent(Delivery):
    """A record of an outbox on its way."""

    __slots__ = ("lsn", "outbox", "sealed", "settled", "size", "tag")

    def __init__(self, reports: Deliveries, outbox: Outbox, lsn: int, size: int, tag: Any) -> None:
        super().__init__(reports)
        self.outbox = outbox
        self.lsn = lsn
        self.size = size
        self.tag = tag
        self.sealed: int | None = None
        self.settled = False


class Outbox:
    """The records of one stream, in their order.

    Nothing here waits by itself: whoever sends looks at `full` before each record, and waits for `room` where it is.
    Between the two and `send` nothing may be awaited, as other streams take part in the worker's total.

    Attributes:
        acknowledged_lsn: everything at or below it that had to be sent is acknowledged, or refused for good.
        failure: done, with the error, once nothing more is sent: what is not acknowledged by then may or may not
            arrive. The stream has to be begun again, in a new outbox.
    """

    def __init__(
        self, lane: Lane, key: str, partition: int, window: Window, observer: OutboxObserver, lsn: int
    ) -> None:
        self.acknowledged_lsn = lsn
        self.failure: asyncio.Future[DeliveryFailed] = asyncio.get_running_loop().create_future()
        self._lane = lane
        self._key = key.encode()
        self._partition = partition
        self._window = window
        self._observer = observer
        self._sent: deque[Sent] = deque()
        self._moved = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether nothing may be sent: this stream, or all of the worker's, have too much on its way."""
        return self._window.shut or self._lane.total.shut

    @property
    def unacknowledged(self) -> Outstanding:
        """What is on its way."""
        return Outstanding(self._window.records, self._window.bytes)

    def send(self, lsn: int, value: bytes, tag: Any = None) -> None:
        """Send a record.

        Args:
            lsn: of its row's commit.
            value: the record.
            tag: what the observer is given back.

        Raises:
            asyncio.QueueFull: the outbox is full.
            DeliveryFailed: it has failed.
        """
        self._check()
        if self.full:
            raise asyncio.QueueFull
        lane = self._lane
        sent = Sent(lane.deliveries, self, lsn, len(value) + RECORD_OVERHEAD_BYTES, tag)
        try:
            lane.deliveries.producer.produce(lane.topic, value, self._key, self._partition, sent)
        except KafkaException as error:
            sent.error = error.args[0]
            lane.refused(sent)
            self._check()
        self._sent.append(sent)
        self._window.add(sent.size)
        lane.total.add(sent.size)

    def seal(self, lsn: int) -> None:
        """Everything at or below this LSN has been sent: a transaction's end, or what a keepalive says was read."""
        if self._sent:
            last = self._sent[-1]
            last.sealed = lsn if last.sealed is None else max(lsn, last.sealed)
        elif lsn > self.acknowledged_lsn:
            self.acknowledged_lsn = lsn
            self.wake()

    async def room(self) -> None:
        """Wait until something may be sent.

        Raises:
            DeliveryFailed: the outbox has failed.
        """
        self._check()
        while self.full:
            await self._move()

    async def reached(self, lsn: int) -> None:
        """Wait until `acknowledged_lsn` is at ``lsn`` or above.

        Raises:
            DeliveryFailed: the outbox has failed.
        """
        self._check()
        while self.acknowledged_lsn < lsn:
            await self._move()

    async def settled(self) -> None:
        """Wait until nothing is on its way.

        Raises:
            DeliveryFailed: the outbox has failed.
        """
        self._check()
        while self._sent:
            await self._move()

    def close(self) -> None:
        """Send nothing more. What is on its way arrives, but the observer is not told."""
        self.fail(DeliveryFailed("the stream is closed"))

    def settle(self) -> Outstanding:
        """Look at what is settled by now, and give how much that was; for whoever takes the reports."""
        acknowledged: list[Any] = []
        records = size = 0
        while self._sent and self._sent[0].settled:
            sent = self._sent.popleft()
            records += 1
            size += sent.size
            if sent.sealed is not None:
                self.acknowledged_lsn = max(sent.sealed, self.acknowledged_lsn)
            if sent.error is None:
                acknowledged.append(sent.tag)
            elif not self.failure.done():
                self._observer.dropped(_dropped(sent, sent.error))
        self._window.remove(records, size)
        if acknowledged and not self.failure.done():
            self._observer.acknowledged(acknowledged)
        self.wake()
        return Outstanding(records, size)

    def wake(self) -> None:
        """Let those who wait look again."""
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def fail(self, error: DeliveryFailed) -> None:
        """Send nothing more."""
        if not self.failure.done():
            self.failure.set_result(error)
            self.wake()

    def _check(self) -> None:
        if self.failure.done():
            raise self.failure.result()

    async def _move(self) -> None:
        await self._moved.wait()
        self._check()


def _dropped(sent: Sent, error: KafkaError) -> Dropped:
    too_large = error.code() == KafkaError.MSG_SIZE_TOO_LARGE
    code = RowCode.PAYLOAD_SIZE_EXCEEDED if too_large else RowCode.RECORD_REFUSED
    size = sent.size - RECORD_OVERHEAD_BYTES
    return Dropped(code, f"Kafka refused a record of {size} bytes: {error.str()}", sent.lsn, sent.tag)
