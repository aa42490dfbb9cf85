"""Reading stretches of partitions: what is between two offsets, for every reader of the log.

Readers here belong to no consumer group and commit nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.errors import KafkaUnreachable, WaitExpired
from streams.kafka.passing import passes

_LOGGER: Final = logging.getLogger(__name__)

RECORDS_PER_READ_MAX: Final = 10_000
"""Records taken from librdkafka at once."""

POLL_TIMEOUT_S: Final = 0.5
"""How long one read waits for records."""

READ_TIMEOUT_S: Final = 30.0
"""How long a reader waits without any progress before it gives up."""

REQUEST_TIMEOUT_S: Final = 10.0
"""How long a request for offsets may take."""

LEADER_RETRY_INTERVAL_S: Final = 0.1
"""Pause between two requests to a partition that has no leader yet."""


class Record(NamedTuple):
    """One record of a topic.

    Attributes:
        partition: its partition.
        offset: its offset.
        timestamp_ms: when it was created or appended, in milliseconds since 1970.
        key: its key.
        value: its value.
        headers: its headers, where there are any.
    """

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


class Stretch(NamedTuple):
    """Offsets of one partition: from ``first``, up to and without ``end``."""

    partition: int
    first: int
    end: int


@contextmanager
def open_consumer(configuration: dict[str, Any]) -> Iterator[Consumer]:
    """A consumer that is closed at the end; ``configuration`` are librdkafka properties."""
    consumer = Consumer(configuration, logger=_LOGGER)
    try:
        yield consumer
    finally:
        consumer.close()


def stretches(consumer: Consumer, topic: str, partitions: Sequence[int] | None = None) -> list[Stretch]:
    """All of ``topic`` as it is now, partition by partition.

    Raises:
        KafkaUnreachable: the broker does not answer or has no such topic.
    """
    try:
        if partitions is None:
            partitions = sorted(consumer.list_topics(topic, timeout=REQUEST_TIMEOUT_S).topics[topic].partitions)
    except KafkaException as error:
        raise KafkaUnreachable(f"{topic}: {error.args[0].str()}") from error
    return [stretch(consumer, topic, partition) for partition in partitions]


def stretch(consumer: Consumer, topic: str, partition: int) -> Stretch:
    """All of one partition as it is now; a partition that is being given a leader is waited for.

    Raises:
        KafkaUnreachable: the broker does not answer, or has no such partition.
    """
    deadline = time.monotonic() + REQUEST_TIMEOUT_S
    while True:
        try:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=REQUEST_TIMEOUT_S)
        except KafkaException as error:
            reason: KafkaError = error.args[0]
            if not passes(reason) or time.monotonic() > deadline:
                raise KafkaUnreachable(f"{topic}:{partition}: {reason.str()}") from error
            time.sleep(LEADER_RETRY_INTERVAL_S)
        else:
            return Stretch(partition, low, high)


def read(consumer: Consumer, topic: str, wanted: Sequence[Stretch]) -> Iterator[Record]:
    """The records of ``wanted``, in order within each partition; ends when all ends are reached.

    The end is judged by the consumer's position, so a tail of records that consumers never see ends too.

    Raises:
        WaitExpired: nothing moved for `READ_TIMEOUT_S`.
    """
    ends = {stretch.partition: stretch.end for stretch in wanted if stretch.first < stretch.end}
    if not ends:
        return
    consumer.assign(
        [TopicPartition(topic, stretch.partition, stretch.first) for stretch in wanted if stretch.partition in ends]
    )
    deadline = time.monotonic() + READ_TIMEOUT_S
    left = sum(stretch.end - stretch.first for stretch in wanted if stretch.partition in ends)
    while ends:
        # Asking for more than there is would wait for it.
        messages = consumer.consume(max(1, min(left, RECORDS_PER_READ_MAX)), POLL_TIMEOUT_S)
        left -= len(messages)
        for message in messages:
            record = record_of(message)
            if record.offset < ends.get(record.partition, OFFSET_BEGINNING):
                yield record
        _drop_finished(consumer, topic, ends)
        if messages:
            deadline = time.monotonic() + READ_TIMEOUT_S
        elif time.monotonic() > deadline:
            raise WaitExpired(f"{topic}: nothing was read for {READ_TIMEOUT_S:.0f} s; still wanted up to {ends}")


def _drop_finished(consumer: Consumer, topic: str, ends: dict[int, int]) -> None:
    for place in consumer.position([TopicPartition(topic, partition) for partition in ends]):
        if place.offset >= ends[place.partition]:
            del ends[place.partition]


def record_of(message: Message) -> Record:
    """A librdkafka message as a record.

    Raises:
        KafkaUnreachable: the message is an error.
    """
    error = message.error()
    if error is not None:
        raise KafkaUnreachable(error.str())
    partition, offset = message.partition(), message.offset()
    if partition is None or offset is None:
        raise KafkaUnreachable("a record without a place")
    headers: Any = message.headers() or ()
    value: Any = message.value()
    key: Any = message.key()
    return Record(partition, offset, message.timestamp()[1], key, value, headers)
