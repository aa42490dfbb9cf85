"""Kafka as its clients see it: partitions that only grow, and readers who wait for them to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from tests.simulation.scheduler import Scheduler

EPOCH_MS: Final = 1_893_456_000_000
"""When every simulated world begins, in milliseconds since 1970: the first of January 2030."""

Place = tuple[str, int]
"""Topic and partition."""

Headers = Sequence[tuple[str, bytes | None]]


class Stored(NamedTuple):
    """One record, with the names that aiokafka, the reader of the log and the transport read."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    @property
    def timestamp_ms(self) -> int:
        """The same time under the log reader's name."""
        return self.timestamp


class Fetch(NamedTuple):
    """A reader who waits at the broker until there is something.

    Attributes:
        wanted: the next offset to read, by place.
        answer: called once, with what there is; empty when the wait is over.
    """

    wanted: Mapping[Place, int]
    answer: Callable[[dict[Place, list[Stored]]], None]


class Broker:
    """All partitions. A record that is here is on every replica: Kafka's own replication is taken for granted.

    Args:
        scheduler: virtual time.
        records_max: most records of one partition that a fetch returns.
    """

    def __init__(self, scheduler: Scheduler, records_max: int) -> None:
        self.partitions: defaultdict[Place, list[Stored]] = defaultdict(list)
        self.watchers: defaultdict[str, list[Callable[[Stored], None]]] = defaultdict(list)
        self._scheduler = scheduler
        self._records_max = records_max
        self._fetches: list[Fetch] = []

    def __str__(self) -> str:
        return "broker"

    def append(self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Headers = ()) -> int:
        """Append one record; gives its offset."""
        records = self.partitions[topic, partition]
        now_ms = EPOCH_MS + int(self._scheduler.now * 1000)
        stored = Stored(topic, partition, len(records), now_ms, 0, key, value, headers)
        records.append(stored)
        for watcher in self.watchers.get(topic, ()):
            watcher(stored)
        if self._fetches:
            self._wake((topic, partition))
        return stored.offset

    def end(self, topic: str, partition: int) -> int:
        """The offset that the next record gets."""
        return len(self.partitions[topic, partition])

    def fetch(self, fetch: Fetch, wait_s: float) -> None:
        """Answer with what there is, or wait for it."""
        found = self._found(fetch.wanted)
        if found:
            fetch.answer(found)
            return
        self._fetches.append(fetch)
        self._scheduler.after(wait_s, self._give_up, fetch)

    def _wake(self, place: Place) -> None:
        for fetch in self._fetches[:]:
            if fetch.wanted.get(place, -1) == len(self.partitions[place]) - 1:
                self._fetches.remove(fetch)
                fetch.answer(self._found(fetch.wanted))

    def _give_up(self, fetch: Fetch) -> None:
        for index, waiting in enumerate(self._fetches):
            if waiting is fetch:
                del self._fetches[index]
                fetch.answer({})
                return

    def _found(self, wanted: Mapping[Place, int]) -> dict[Place, list[Stored]]:
        found: dict[Place, list[Stored]] = {}
        for place, offset in wanted.items():
            records = self.partitions[place]
            if offset < len(records):
                count = 1 + int(self._scheduler.random.random() * self._records_max)
                found[place] = records[offset : offset + count]
        return found
