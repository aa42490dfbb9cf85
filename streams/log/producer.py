"""The one producer of a worker: idempotent, acknowledged by all replicas, in order per partition.

Within a partition order holds, so the delivery of the last record of a batch acknowledges the batch. A
delivery that fails is fatal to the worker: it stops, and what is on the log is what happened.

Source: KIP-98 (idempotent producer).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from streams.errors import DeliveryFailed

POLL_INTERVAL_S: Final = 0.1
"""How long the delivery thread waits for a report before it looks whether it should stop."""

FLUSH_TIMEOUT_S: Final = 10.0
"""How long closing waits for records on their way."""

Headers = list[tuple[str, str | bytes | None]]


class Receipts:
    """Counts the records of one batch until each is acknowledged.

    Attributes:
        delivered: done when the batch is sealed and all of it is acknowledged.
    """

    __slots__ = ("_loop", "_outstanding", "_sealed", "delivered")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._outstanding = 0
        self._sealed = False
        self.delivered: asyncio.Future[None] = loop.create_future()

    def expect(self) -> None:
        """One more record is on its way."""
        self._outstanding += 1

    def arrived(self) -> None:
        """A record is acknowledged."""
        self._outstanding -= 1
        self._settle()

    def seal(self) -> None:
        """No more records follow."""
        self._sealed = True
        self._settle()

    def _settle(self) -> None:
        if self._sealed and self._outstanding == 0 and not self.delivered.done():
            self.delivered.set_result(None)


class LogProducer:
    """Writes records and reports their acknowledgement to the event loop it was made in.

    Args:
        producer: an idempotent producer that nobody else uses.
        on_failure: called in the event loop, once, when a record could not be delivered.
    """

    def __init__(self, producer: Producer, on_failure: Callable[[DeliveryFailed], None]) -> None:
        self._producer = producer
        self._loop = asyncio.get_running_loop()
        self._on_failure = on_failure
        self._failed = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="delivery-reports", daemon=True)
        self._thread.start()

    def append(self, topic: str, partition: int, records: Sequence[tuple[str | None, bytes]]) -> asyncio.Future[int]:
        """Append key and value pairs to one partition; the result is the last record's offset."""
        acknowledged: asyncio.Future[int] = self._loop.create_future()

        def on_last(error: KafkaError | None, message: Message) -> None:
            self._loop.call_soon_threadsafe(self._appended, acknowledged, error, message)

        messages: list[dict[str, Any]] = [{"key": key, "value": value} for key, value in records]
        messages[-1]["callback"] = on_last
        queued = self._producer.produce_batch(topic, messages, partition)
        if queued != len(messages):
            self._fail(DeliveryFailed(f"the producer's queue is full: {queued} of {len(messages)} records fitted"))
        return acknowledged

    def send(
        self,
        topic: str,
        key: str | bytes | None,
        value: bytes | None,
        *,
        partition: int = -1,
        headers: Headers | None = None,
        receipts: Receipts | None = None,
    ) -> None:
        """Send one record; ``receipts``, if given, is told of its acknowledgement."""

        def on_delivery(error: KafkaError | None, _message: Message) -> None:
            self._loop.call_soon_threadsafe(self._sent, receipts, error)

        if receipts is not None:
            receipts.expect()
        try:
            self._producer.produce(
                topic, value=value, key=key, partition=partition, headers=headers, on_delivery=on_delivery
            )
        except (BufferError, KafkaException) as error:
            self._fail(DeliveryFailed(f"{topic}: {error}"))

    def receipts(self) -> Receipts:
        """An empty batch of receipts."""
        return Receipts(self._loop)

    async def close(self) -> None:
        """Wait for what is on its way, within `FLUSH_TIMEOUT_S`, and stop.

        Raises:
            DeliveryFailed: records are left that were not acknowledged.
        """
        left = await asyncio.to_thread(self._producer.flush, FLUSH_TIMEOUT_S)
        self._closing.set()
        await asyncio.to_thread(self._thread.join, FLUSH_TIMEOUT_S)
        if left:
            raise DeliveryFailed(f"{left} records were not acknowledged within {FLUSH_TIMEOUT_S:.0f} s")

    def _poll(self) -> None:
        while not self._closing.is_set():
            self._producer.poll(POLL_INTERVAL_S)

    def _appended(self, acknowledged: asyncio.Future[int], error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._fail(DeliveryFailed(f"{message.topic()}[{message.partition()}]: {error.str()}"))
        elif not acknowledged.done():
            offset = message.offset()
            acknowledged.set_result(-1 if offset is None else offset)

    def _sent(self, receipts: Receipts | None, error: KafkaError | None) -> None:
        if error is not None:
            self._fail(DeliveryFailed(f"a record was not acknowledged: {error.str()}"))
        elif receipts is not None:
            receipts.arrived()

    def _fail(self, error: DeliveryFailed) -> None:
        if not self._failed:
            self._failed = True
            self._on_failure(error)
