"""What the log has at the offsets of snapshots: a snapshot of another log is known by its last record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from streams.log.reader import Stretch, open_consumer, read, stretch

FETCH_BYTES_MAX: Final = 64 * 1024
"""Bytes asked of each partition: one record is wanted, and Kafka gives a whole one even where it is larger."""

Marks = Callable[[Mapping[int, int]], Mapping[int, bytes | None]]
"""By partition and offset, the value of the record there; None where the log does not reach so far. It blocks.

Raises (KafkaUnreachable, WaitExpired) where the log cannot be asked.
"""


class LogMarks:
    """Reads single records of a topic.

    Args:
        configuration: of a consumer, librdkafka's properties.
        topic: the events topic.
    """

    def __init__(self, configuration: Mapping[str, Any], topic: str) -> None:
        self._configuration = {**configuration, "fetch.message.max.bytes": FETCH_BYTES_MAX}
        self._topic = topic

    def __call__(self, offsets: Mapping[int, int]) -> Mapping[int, bytes | None]:
        """The records at ``offsets``, see `Marks`."""
        with open_consumer(self._configuration) as consumer:
            logs = [stretch(consumer, self._topic, partition) for partition in offsets]
            wanted = [
                Stretch(log.partition, offset, offset + 1)
                for log in logs
                if log.first <= (offset := offsets[log.partition]) < log.end
            ]
            found = {record.partition: record.value for record in read(consumer, self._topic, wanted)}
        return {partition: found.get(partition) for partition in offsets}
