"""What a worker asks the broker apart from its group: where partitions end, and what stands between two offsets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, NamedTuple

from confluent_kafka import OFFSET_INVALID, KafkaError, KafkaException, TopicPartition

from streams.log.reader import Record, Stretch
from tests.simulation.broker import Broker
from tests.simulation.link import Link, Passage
from tests.simulation.loop import Waiting
from tests.simulation.scheduler import Scheduler


class End(NamedTuple):
    """What `list_offsets` gives for a partition."""

    offset: int


class SimulatedAdmin:
    """confluent-kafka's `AdminClient`, as far as `streams.log.ends` uses it.

    Args:
        scheduler: virtual time.
        broker: who is asked.
        link: the process's network.
        passes: told what the process is doing.
    """

    def __init__(self, scheduler: Scheduler, broker: Broker, link: Link, passes: Callable[[str], None]) -> None:
        self._scheduler = scheduler
        self._broker = broker
        self._link = link
        self._passes = passes

    def __str__(self) -> str:
        return f"{self._link}'s admin"

    def list_offsets(
        self, places: Mapping[TopicPartition, Any], *, request_timeout: float
    ) -> dict[TopicPartition, Future[End]]:
        """The end of each partition, each in its own time."""
        self._passes("ask for ends")
        asked: dict[TopicPartition, Future[End]] = {}
        for place in places:
            answer = asked[place] = Future()
            if self._link.sends and self._link.questions is not Passage.CUT:
                self._scheduler.soon(self._arrive, place, answer)
            self._scheduler.after(request_timeout, self._expire, answer)
        return asked

    def list_topics(self, topic: str, **_: Any) -> SimpleNamespace:
        """Who leads a topic's partitions; here always the same broker."""
        if not (self._link.sends and self._link.hears and self._link.questions is Passage.OPEN):
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        partitions = {number: SimpleNamespace(leader=1) for name, number in self._broker.partitions if name == topic}
        return SimpleNamespace(topics={topic: SimpleNamespace(partitions=partitions)})

    def _arrive(self, place: TopicPartition, answer: Future[End]) -> None:
        self._scheduler.soon(self._answer, End(self._broker.end(place.topic, place.partition)), answer)

    def _answer(self, end: End, answer: Future[End]) -> None:
        if self._link.hears and not answer.done():
            answer.set_result(end)

    def _expire(self, answer: Future[End]) -> None:
        """What the library gives for a broker that is connected and silent: no error, and no end."""
        if not self._link.dead and not answer.done():
            answer.set_result(End(OFFSET_INVALID))


class LogReader:
    """Reads stretches of partitions outside any group, in a thread.

    Args:
        broker: who is asked.
        link: the process's network.
        passes: told what the process is doing.
    """

    def __init__(self, broker: Broker, link: Link, passes: Callable[[str], None]) -> None:
        self._broker = broker
        self._link = link
        self._passes = passes

    @contextmanager
    def open_consumer(self, _configuration: dict[str, Any]) -> Iterator[None]:
        """Nothing needs to be opened."""
        yield

    def read(self, _consumer: None, topic: str, wanted: list[Stretch]) -> Iterator[Record]:
        """The records of ``wanted``, once the network lets them through and all of them are there."""
        self._passes("read back")
        if self._link.dead or not self._link.hears:
            raise Waiting
        for stretch in wanted:
            records = self._broker.partitions[topic, stretch.partition]
            if len(records) < stretch.end:
                raise Waiting
            for stored in records[stretch.first : stretch.end]:
                yield Record(stored.partition, stored.offset, stored.timestamp, stored.key, stored.value)
