"""Reading the users' topic: which partitions, from where on, and what is read. Used by one thread only."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any, Final

import structlog
from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.errors import KafkaUnreachable
from streams.kafka.passing import passes
from streams.log.reader import Record, record_of
from streams.users.counts import KEPT_MS
from streams.users.following import Following

RECORDS_PER_READ_MAX: Final = 250
"""Records read at once: between two reads the thread gives way to the event loop."""

POLL_INTERVAL_S: Final = 0.1
"""How long one read waits for records; so much later at the most are ends of users told."""

REQUEST_TIMEOUT_S: Final = 2.0
"""How long one request for offsets may take; nothing else is read meanwhile."""

RETRY_INTERVAL_S: Final = 1.0
"""How soon offsets of a partition are asked for again."""

QUEUE_KILOBYTES_MAX: Final = 16_384
"""Kilobytes that are fetched ahead."""

_LOGGER: Final = logging.getLogger(__name__)
log = structlog.get_logger(__name__)


class UsersSource:
    """A consumer outside any group.

    Attributes:
        read_now: what is read, by partition. Not to be changed.

    Args:
        configuration: librdkafka properties.
        topic: the users' topic.
    """

    def __init__(self, configuration: dict[str, Any], topic: str) -> None:
        properties = {"enable.partition.eof": True, "queued.max.messages.kbytes": QUEUE_KILOBYTES_MAX}
        self._consumer = Consumer({**configuration, **properties}, logger=_LOGGER)
        # A broker answers the requests of a connection in turn: a question would wait for every fetch that waits.
        self._asker = Consumer(configuration, logger=_LOGGER)
        self._topic = topic
        self._ask_again_at: dict[int, float] = {}
        self.read_now: dict[int, Following] = {}

    def close(self) -> None:
        """Stop reading."""
        self._consumer.close()
        self._asker.close()

    def turn_to(self, followed: Mapping[int, Following]) -> None:
        """Read these partitions and no others. One that cannot be read yet is tried again with a later call.

        Raises:
            KafkaUnreachable: a partition cannot be read, and asking again cannot change that.
        """
        gone = [partition for partition, each in self.read_now.items() if followed.get(partition) is not each]
        if gone:
            self._consumer.incremental_unassign([TopicPartition(self._topic, partition) for partition in gone])
        for partition in gone:
            del self.read_now[partition]
        for partition, following in followed.items():
            due = time.monotonic() >= self._ask_again_at.get(partition, 0.0)
            if partition not in self.read_now and due and not self._begin(following):
                # Where one was not answered in time, others would not be either: those that are read come first.
                return

    def read(self) -> list[Record]:
        """What has come, after `POLL_INTERVAL_S` at the latest.

        Raises:
            KafkaUnreachable: reading cannot go on.
        """
        messages = self._consumer.consume(RECORDS_PER_READ_MAX, POLL_INTERVAL_S)
        return [record for message in messages if (record := self._record(message)) is not None]

    def _begin(self, following: Following) -> bool:
        partition = following.partition
        try:
            first, end = self._stretch(following)
        except KafkaException as error:
            reason: KafkaError = error.args[0]
            if not passes(reason) or self._is_missing(partition):
                raise KafkaUnreachable(f"{self._topic}:{partition}: {reason.str()}") from error
            self._ask_again_at[partition] = time.monotonic() + RETRY_INTERVAL_S
            log.warning("users.not_read_yet", topic=self._topic, partition=partition, error=reason.str())
            return False
        following.begin(first, end)
        self._consumer.incremental_assign([TopicPartition(self._topic, partition, first)])
        self.read_now[partition] = following
        return True

    def _is_missing(self, partition: int) -> bool:
        """Whether the topic has partitions, and not this one; a broker that stops or starts may show none."""
        try:
            shown = self._asker.list_topics(self._topic, timeout=REQUEST_TIMEOUT_S).topics[self._topic].partitions
        except KafkaException:
            return False
        return bool(shown) and partition not in shown

    def _stretch(self, following: Following) -> tuple[int, int]:
        """The first record of the last hour, and the end. The end comes first: what is appended later is behind it."""
        place = TopicPartition(self._topic, following.partition)
        _, end = self._asker.get_watermark_offsets(place, timeout=REQUEST_TIMEOUT_S)
        place.offset = max(0, following.taken_ms - KEPT_MS)
        (found,) = self._asker.offsets_for_times([place], timeout=REQUEST_TIMEOUT_S)
        if found.error is not None:
            raise KafkaException(found.error)
        return end if found.offset == OFFSET_END else found.offset, end

    def _record(self, message: Message) -> Record | None:
        error = message.error()
        if error is None:
            return record_of(message)
        partition, offset = message.partition(), message.offset()
        if error.code() == KafkaError._PARTITION_EOF and partition is not None and offset is not None:  # noqa: SLF001  its public name
            self.read_now[partition].pass_by(offset)
        elif error.fatal() or not passes(error):
            raise KafkaUnreachable(f"{self._topic}: {error.str()}")
        else:
            log.warning("users.disturbed", topic=self._topic, error=error.str())
        return None
