"""Reading the positions of one partition: from its beginning up to a record that is known to stand there. It blocks."""

from __future__ import annotations

import threading
import time
from typing import Final

from confluent_kafka import Consumer, TopicPartition

from streams.errors import KafkaRefused, WaitExpired
from streams.kafka.clients import consumer
from streams.kafka.passing import passes
from streams.replication.points import Points
from streams.settings import Settings

READ_SECONDS: Final = 30.0
"""How long the whole reading may take."""

POLL_SECONDS: Final = 0.2
"""How long one read waits for records before the deadline is looked at again."""

END_ANSWER_MS: Final = 10
"""How long a broker may hold back the answer that nothing follows; closing the reader waits for it."""


def read_points(settings: Settings, topic: str, partition: int, last: int, closing: threading.Event) -> Points:
    """What the records of a partition up to and with offset ``last`` say. Compaction may have left gaps between them.

    Args:
        settings: where Kafka is.
        topic: the positions.
        partition: of it.
        last: offset of a record that is there.
        closing: ends the reading early.

    Raises:
        KafkaRefused: Kafka answered with an error that does not pass.
        WaitExpired: the record was not reached in time.
    """
    # No offset is ever committed: the name of the group is only a name.
    reader = consumer(settings, f"{topic}-reader", fetch_wait_max_ms=END_ANSWER_MS)
    try:
        # The offset itself: asking for the beginning by name takes the library half a second.
        reader.assign([TopicPartition(topic, partition, 0)])
        return _read(reader, f"{topic}:{partition}", last, closing)
    finally:
        reader.close()


def _read(reader: Consumer, name: str, last: int, closing: threading.Event) -> Points:
    points = Points()
    deadline = time.monotonic() + READ_SECONDS
    while time.monotonic() < deadline and not closing.is_set():
        message = reader.poll(POLL_SECONDS)
        if message is None:
            continue
        error, offset = message.error(), message.offset()
        if error is None and offset is not None:
            points.take(message.key(), message.value(), f"{name}:{offset}")
            if offset >= last:
                return points
        elif error is not None and not passes(error):
            raise KafkaRefused(f"reading {name}: {error.str()}")
    raise WaitExpired(f"{name} was not read up to offset {last} in time")
