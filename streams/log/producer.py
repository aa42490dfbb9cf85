"""The one producer of a worker: idempotent, acknowledged by all replicas, in order per partition.

Within a partition order holds, and no gap may be left, so the delivery of the last record of a batch
acknowledges the batch. A delivery that fails is fatal to the worker: it stops, and what is on the log is what
happened.

Source: KIP-98 (idempotent producer).
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from streams.errors import DeliveryFailed

POLL_INTERVAL_S: Final = 0.1
"""How long the delivery thread waits for a report before it looks whether it should stop."""

WATCH_INTERVAL_S: Final = 0.5
"""How often it is looked at whether the oldest record on its way has waited too long."""

FLUSH_TIMEOUT_S: Final = 5.0
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


class _Sent:
    """A batch on its way: since when, and whether it arrived."""

    __slots__ = ("acknowledged", "at", "done")

    def __init__(self, at: float, acknowledged: asyncio.Future[int] | None) -> None:
        self.at = at
        self.acknowledged = acknowledged
        self.done = False


class LogProducer:
    """Writes records and reports their acknowledgement to the event loop it was made in.

    What is on the log is always a prefix of what was written: the producer itself gives nothing up, and once
    a record has failed or waited too long nothing more leaves this object.

    Args:
        producer: an idempotent producer without a timeout of its own, that nobody else uses.
        timeout_s: how long a record may wait for its acknowledgement, in seconds.
        on_failure: called in the event loop, once, when a record could not be delivered.
    """

    def __init__(self, producer: Producer, timeout_s: float, on_failure: Callable[[DeliveryFailed], None]) -> None:
        self._producer = producer
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._on_failure = on_failure
        self._sent: deque[_Sent] = deque()
        self._failure: DeliveryFailed | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="delivery-reports", daemon=True)
        self._thread.start()
        self._watching = self._loop.create_task(self._watch())

    def append(self, topic: str, partition: int, records: Sequence[tuple[str | None, bytes]]) -> asyncio.Future[int]:
        """Append key and value pairs to one partition; the result is the last record's offset."""
        acknowledged: asyncio.Future[int] = self._loop.create_future()
        if self._failure is not None:
            acknowledged.set_exception(self._failure)
            return acknowledged
        sent = self._remember(acknowledged)

        def on_last(error: KafkaError | None, message: Message) -> None:
            self._report(error, partial(self._appended, sent, message))

        messages: list[dict[str, Any]] = [{"key": key, "value": value} for key, value in records]
        messages[-1]["callback"] = on_last
        try:
            queued = self._producer.produce_batch(topic, messages, partition)
        except KafkaException as error:
            self._fail(DeliveryFailed(f"{topic}: {error}"))
            return acknowledged
        if queued != len(messages):
            self._fail(DeliveryFailed(f"{topic}: {queued} of {len(messages)} records fitted the producer's queue"))
        return acknowledged

    def send(
        self,
        topic: str,
        key: str | bytes | None,
        value: bytes | None,
        *,
        partition: int = -1,
        headers: Headers | None = None,
        receipts: Receipts,
    ) -> None:
        """Send one record; ``receipts`` is told of its acknowledgement."""
        receipts.expect()
        if self._failure is not None:
            return
        sent = self._remember(None)

        def on_delivery(error: KafkaError | None, _message: Message) -> None:
            self._report(error, partial(self._arrived, sent, receipts))

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
        """Wait for what is on its way, within `FLUSH_TIMEOUT_S`, and stop. After a failure nothing is waited for.

        Raises:
            DeliveryFailed: records are left that were not acknowledged.
        """
        self._watching.cancel()
        left = 0
        if self._failure is None:
            left = await asyncio.to_thread(self._producer.flush, FLUSH_TIMEOUT_S)
        self._closing.set()
        await asyncio.to_thread(self._thread.join, FLUSH_TIMEOUT_S)
        if left:
            raise DeliveryFailed(f"{left} records were not acknowledged within {FLUSH_TIMEOUT_S:.0f} s")

    def _poll(self) -> None:
        while not self._closing.is_set():
            try:
                self._producer.poll(POLL_INTERVAL_S)
            except KafkaException as error:
                # A fatal error is raised here and not reported for any record.
                self._report(error.args[0], lambda: None)
                self._closing.wait(POLL_INTERVAL_S)

    async def _watch(self) -> None:
        while self._failure is None:
            while self._sent and self._sent[0].done:
                self._sent.popleft()
            if self._sent and self._loop.time() - self._sent[0].at > self._timeout_s:
                self._fail(DeliveryFailed(f"a record was not acknowledged within {self._timeout_s:.0f} s"))
            await asyncio.sleep(WATCH_INTERVAL_S)

    def _remember(self, acknowledged: asyncio.Future[int] | None) -> _Sent:
        sent = _Sent(self._loop.time(), acknowledged)
        self._sent.append(sent)
        return sent

    def _report(self, error: KafkaError | None, arrived: Callable[[], None]) -> None:
        """Called in the delivery thread. What is queued behind a failed record must not leave."""
        if error is None:
            self._loop.call_soon_threadsafe(arrived)
        elif not self._closing.is_set():
            self._producer.purge(in_queue=True, in_flight=True, blocking=False)
            self._loop.call_soon_threadsafe(self._fail, DeliveryFailed(f"Kafka refused a record: {error.str()}"))

    @staticmethod
    def _appended(sent: _Sent, message: Message) -> None:
        sent.done = True
        offset = message.offset()
        if sent.acknowledged is not None and not sent.acknowledged.done():
            sent.acknowledged.set_result(-1 if offset is None else offset)

    @staticmethod
    def _arrived(sent: _Sent, receipts: Receipts) -> None:
        sent.done = True
        receipts.arrived()

    def _fail(self, error: DeliveryFailed) -> None:
        if self._failure is not None:
            return
        self._failure = error
        self._producer.purge(in_queue=True, in_flight=True, blocking=False)
        for sent in self._sent:
            if sent.acknowledged is not None and not sent.acknowledged.done():
                sent.acknowledged.set_exception(error)
                sent.acknowledged.exception()
        self._on_failure(error)
