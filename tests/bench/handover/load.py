"""A steady stream of commands, from a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Final, Self

from streams.kafka.clients import producer
from streams.settings import Settings
from tests.bench.workload import Keyed

TICK_S: Final = 0.01
FLUSH_TIMEOUT_S: Final = 30.0


class Load:
    """Writes commands at a rate for as long as it is entered.

    Args:
        settings: where Kafka is.
        topic: where they go.
        commands: what is written, in order.
        per_second: how many.

    Attributes:
        sent: commands that were written.
    """

    def __init__(self, settings: Settings, topic: str, commands: Iterator[Keyed], per_second: int) -> None:
        self.sent = 0
        self._producer = producer(settings)
        self._topic = topic
        self._commands = commands
        self._per_second = per_second
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        assert self._producer.flush(FLUSH_TIMEOUT_S) == 0

    def _run(self) -> None:
        begun = time.monotonic()
        while not self._ended.wait(TICK_S):
            due = int((time.monotonic() - begun) * self._per_second)
            for key, partition, value in (next(self._commands) for _ in range(due - self.sent)):
                self._producer.produce(self._topic, key=key, partition=partition, value=value)
            self.sent = due
            self._producer.poll(0)
