"""Canaries: small records that a worker sends to the partitions it reads, to see that it still reads them.

A consumer that silently stopped fetching keeps its heartbeats and so its partitions: nobody else would ever answer for
its tenants. Where nothing is written that cannot be seen, so something is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from faust.types import TP

from streams.errors import ConsumerSilent
from streams.worker.run import CANARY

NAMED_MAX: Final = 16
"""Partitions that a message names."""

EXCUSED_MAX: Final = 10
"""How many times its bound a canary may stay unread while others are read and done without a pause."""


class Canaries:
    """Sends a record to each partition once an interval, and ends the worker where nothing is read any more.

    Time counts by looks: a process that was frozen looks once when it wakes, and one interval has passed.

    Args:
        producer: what sends them; that one of them does not arrive says nothing of the consumer.
        places: the partitions that are read now; None while a rebalance or a recovery keeps them waiting.
        interval_s: between two looks, in seconds.
        timeout_s: how long one that arrived may stay unread, in seconds; beginning anew while runs that are in its way
            are done one after another, and `EXCUSED_MAX` times as long altogether.
    """

    def __init__(
        self, producer: Producer, places: Callable[[], Collection[TP] | None], interval_s: float, timeout_s: float
    ) -> None:
        self._producer = producer
        self._places = places
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._sent: set[TP] = set()
        self._unread: dict[TP, float] = {}
        self._excused: dict[TP, float] = {}

    def heard(self, place: TP) -> None:
        """Something was read from a partition."""
        self._sent.discard(place)
        self._unread.pop(place, None)
        self._excused.pop(place, None)

    def held_up(self) -> None:
        """A run waited until another one was done: whatever is behind it could not be read any earlier."""
        for place, unread_s in self._unread.items():
            self._excused[place] = self._excused.get(place, 0.0) + unread_s
            self._unread[place] = 0.0

    async def run(self) -> None:
        """Look for ever.

        Raises:
            ConsumerSilent: what arrived at a partition was not read for too long.
        """
        while True:
            await asyncio.sleep(self._interval_s)
            self.look()

    def look(self) -> None:
        """Look once; an interval has passed since the last time.

        Raises:
            ConsumerSilent: see `run`.
        """
        self._producer.poll(0)
        places = self._places()
        if places is None:
            self._sent.clear()
            self._unread.clear()
            self._excused.clear()
            return
        for place in self._unread.keys() & set(places):
            self._unread[place] += self._interval_s
        silent = sorted(filter(self._is_silent, self._unread))
        if silent:
            named = ", ".join(f"{place.topic}:{place.partition}" for place in silent[:NAMED_MAX])
            unread_s = max(self._unread[place] + self._excused.get(place, 0.0) for place in silent)
            raise ConsumerSilent(f"{named}: nothing was read for {unread_s:.0f} s, though there is something")
        for place in set(places) - self._sent:
            self._send(place)

    def _is_silent(self, place: TP) -> bool:
        unread_s = self._unread[place]
        return unread_s >= self._timeout_s or unread_s + self._excused.get(place, 0.0) >= EXCUSED_MAX * self._timeout_s

    def _send(self, place: TP) -> None:
        def arrived(error: KafkaError | None, _message: Message) -> None:
            if place not in self._sent:
                return
            if error is None:
                self._unread[place] = 0.0
            else:
                self._sent.discard(place)

        try:
            self._producer.produce(place.topic, value=CANARY, partition=place.partition, on_delivery=arrived)
        except (BufferError, KafkaException):
            # Kafka takes nothing: then there is nothing to read either. It is tried again at the next look.
            return
        self._sent.add(place)
