"""A producer whose delivery reports come to the event loop in bursts: one call for many records.

The library reports each record in the thread that polls. Waking the event loop for every one of them would cost more
than sending it, so what one poll brings is handed over at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from confluent_kafka import KafkaError, Message, Producer

POLL_INTERVAL_S: Final = 0.1
"""How long the thread waits for reports before it looks whether it should end."""

RECONNECT_MS_MAX: Final = 1_000
"""Longest pause between two attempts to reach a broker that is away, in milliseconds: streams wait for it, and the
servers that they come from keep their WAL."""


class Delivery:
    """One record on its way; what the library calls when it is settled, in the thread that polls.

    Attributes:
        error: why it was not delivered, once it is settled; None if it was.
    """

    __slots__ = ("_reports", "error")

    def __init__(self, reports: Deliveries) -> None:
        self.error: KafkaError | None = None
        self._reports = reports

    def __call__(self, error: KafkaError | None, _message: Message | None) -> None:
        """Take the report."""
        self.error = error
        self._reports.burst.append(self)


Settled = Callable[["Deliveries", Sequence[Any]], None]


class Deliveries:
    """A producer, and the thread that waits for its reports. Make it in the event loop that is told of them.

    Args:
        producer: that nobody else uses or closes.
        settled: called in the event loop with records that were settled, in the order of their reports: for the records
            of a partition the order in which they were sent, but for those that were refused.

    Attributes:
        producer: to send with; the ``on_delivery`` of each record is a `Delivery`.
        burst: what the poll that goes on has brought so far; only the thread uses it.
    """

    def __init__(self, producer: Producer, settled: Settled) -> None:
        self.producer = producer
        self.burst: list[Any] = []
        self._settled = settled
        self._loop = asyncio.get_running_loop()
        self._deadline: float | None = None
        self._ended: asyncio.Future[int] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name="broadcast-reports", daemon=True)
        self._thread.start()

    async def close(self, within_s: float) -> int:
        """Wait for what is on its way, for so many seconds at most, and give the rest up; gives how much that was.

        A record that is given up may still be appended by a broker that has it already.
        """
        deadline = time.monotonic() + within_s
        self._deadline = deadline if self._deadline is None else min(deadline, self._deadline)
        return await asyncio.shield(self._ended)

    def _run(self) -> None:
        while self._deadline is None or (len(self.producer) > 0 and time.monotonic() < self._deadline):
            self.producer.poll(POLL_INTERVAL_S)
            self._hand_over()
        left = len(self.producer)
        self.producer.purge(in_queue=True, in_flight=True, blocking=True)
        self.producer.close()
        self._hand_over()
        self._tell(lambda: self._ended.set_result(left))

    def _hand_over(self) -> None:
        if self.burst:
            burst, self.burst = self.burst, []
            self._tell(lambda: self._settled(self, burst))

    def _tell(self, call: Callable[[], None]) -> None:
        # A loop that is closed has nobody left to be told.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call)
