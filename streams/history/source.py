"""Where history is read from: the events topic on Kafka, or anything that looks like it.

Readers here belong to no consumer group, commit nothing and write nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol

from confluent_kafka import Consumer, TopicPartition

from streams.errors import TopicsDiffer
from streams.kafka.clients import consumer_configuration, reachable
from streams.log.reader import Record, Stretch, open_consumer, read, record_of, stretches
from streams.settings import Settings
from streams.topics import Topics

_LOGGER: Final = logging.getLogger(__name__)

RECORDS_PER_POLL_MAX: Final = 5_000
"""Records that one look at a live topic gives at most."""

POLL_TIMEOUT_S: Final = 0.5
"""How long one look at a live topic waits for a record."""


class Tail(Protocol):
    """A live reading: everything from the beginning of its stretches, and whatever follows."""

    def poll(self) -> list[Record]:
        """The next records, in order within each partition; empty where none came within `POLL_TIMEOUT_S`."""

    def close(self) -> None:
        """Give the connection up."""


class Source(Protocol):
    """An events topic."""

    @property
    def topic(self) -> str:
        """Its name."""

    def stretches(self) -> list[Stretch]:
        """Every partition as it is now, in the order of their numbers."""

    def records(self, wanted: Sequence[Stretch]) -> Iterator[Record]:
        """The records of the stretches, in order within each partition."""

    def tail(self, wanted: Sequence[Stretch]) -> Tail:
        """The same, and what follows."""


class KafkaSource:
    """The events topic of the settings' region.

    Args:
        settings: where Kafka is, topic prefix and region.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topic = Topics(settings).events
        # No offset is ever committed: the name of the group is only a name.
        self._configuration = consumer_configuration(settings, f"{self._topic}.history")

    @property
    def topic(self) -> str:
        """The events topic's name."""
        return self._topic

    def stretches(self) -> list[Stretch]:
        """Every partition as it is now.

        Raises:
            KafkaUnreachable: no broker answered.
            TopicsDiffer: there is no such topic.
        """
        reachable(self._settings)
        with open_consumer(self._configuration) as consumer:
            found = stretches(consumer, self._topic)
        if not found:
            raise TopicsDiffer(f"{self._topic} is missing")
        return found

    def records(self, wanted: Sequence[Stretch]) -> Iterator[Record]:
        """The records of the stretches, in order within each partition.

        Raises:
            WaitExpired: the reading got stuck.
            KafkaUnreachable: the broker refused.
        """
        with open_consumer(self._configuration) as consumer:
            yield from read(consumer, self._topic, wanted)

    def tail(self, wanted: Sequence[Stretch]) -> Tail:
        """The records of the stretches, and what follows."""
        return KafkaTail(self._configuration, self._topic, wanted)


class KafkaTail:
    """A live reading of a topic.

    Args:
        configuration: librdkafka properties of a consumer outside any group.
        topic: what is read.
        wanted: where each partition begins.
    """

    def __init__(self, configuration: dict[str, Any], topic: str, wanted: Sequence[Stretch]) -> None:
        self._consumer = Consumer(configuration, logger=_LOGGER)
        self._consumer.assign([TopicPartition(topic, stretch.partition, stretch.first) for stretch in wanted])

    def poll(self) -> list[Record]:
        """The next records; empty where none came within `POLL_TIMEOUT_S`.

        Raises:
            KafkaUnreachable: the broker refused.
        """
        first = self._consumer.poll(POLL_TIMEOUT_S)
        if first is None:
            return []
        return [record_of(message) for message in (first, *self._consumer.consume(RECORDS_PER_POLL_MAX - 1, 0))]

    def close(self) -> None:
        """Give the connection up."""
        self._consumer.close()
