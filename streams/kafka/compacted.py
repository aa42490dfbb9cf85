"""Reading a compacted topic as what it stands for: the last value of every key."""

from __future__ import annotations

import time
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.errors import KafkaRefused, TopicsDiffer, WaitExpired
from streams.kafka.clients import consumer, reachable
from streams.kafka.partitioner import partition_of
from streams.settings import Settings

READ_SECONDS: Final = 30.0
"""How long the whole reading may take."""

REQUEST_SECONDS: Final = 10.0
"""How long a request for metadata may take."""

POLL_SECONDS: Final = 0.2
"""How long one read waits for records before the deadline is looked at again."""

END_ANSWER_MILLISECONDS: Final = 10
"""How long a broker may hold back the answer that nothing follows; it hopes for records to come."""


def latest(
    settings: Settings, topic: str, *, key: bytes | None = None, timeout: float = READ_SECONDS
) -> dict[bytes, bytes]:
    """The last value of every key as of a moment within this call; keys whose last value is null are left out.

    A partition counts as read when the broker says that nothing follows. Offsets alone would not tell: where compaction
    took the tail away, or a transaction ended, the last record stands well before the partition's end.

    Args:
        settings: where Kafka is.
        topic: a compacted topic; records without a key are passed over.
        key: only the partition of this key is read; all of them when left out.
        timeout: seconds the whole reading may take.

    Raises:
        KafkaUnreachable: no broker answered.
        TopicsDiffer: there is no such topic.
        KafkaRefused: the broker answered with an error.
        WaitExpired: the end was not reached in time.
    """
    reachable(settings)
    # No offset is ever committed: the name of the group is only a name.
    reader = consumer(settings, f"{topic}-reader", enable_partition_eof=True, fetch_wait_max_ms=END_ANSWER_MILLISECONDS)
    try:
        partitions = _partitions(reader, topic)
        wanted = partitions if key is None else [partition_of(key, len(partitions))]
        reader.assign([TopicPartition(topic, partition, 0) for partition in wanted])
        return _read_to_the_end(reader, topic, set(wanted), time.monotonic() + timeout)
    finally:
        reader.close()


def _partitions(reader: Consumer, topic: str) -> list[int]:
    try:
        found = reader.list_topics(topic, timeout=REQUEST_SECONDS).topics[topic]
    except KafkaException as error:
        raise KafkaRefused(f"{topic}: {error.args[0].str()}") from error
    if found.error is not None:
        raise _refusal(topic, found.error)
    return sorted(found.partitions)


def _read_to_the_end(reader: Consumer, topic: str, unread: set[int], deadline: float) -> dict[bytes, bytes]:
    values: dict[bytes, bytes] = {}
    while unread:
        if time.monotonic() > deadline:
            raise WaitExpired(f"the end of {topic} was not reached in time in partitions {sorted(unread)}")
        message = reader.poll(POLL_SECONDS)
        if message is None:
            continue
        error = message.error()
        if error is None:
            _take(message, values)
        elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the library has no other name for it
            unread.discard(message.partition())
        elif not error.retriable():
            raise _refusal(topic, error)
    return values


def _take(message: Message, values: dict[bytes, bytes]) -> None:
    key, value = message.key(), message.value()
    if key is None:
        return
    if value is None:
        values.pop(key, None)
    else:
        values[key] = value


def _refusal(topic: str, error: KafkaError) -> KafkaRefused | TopicsDiffer:
    missing = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION)  # noqa: SLF001 - the library's names
    if error.code() in missing:
        return TopicsDiffer(f"{topic}, or a partition of it, is missing")
    return KafkaRefused(f"reading {topic}: {error.str()}")
