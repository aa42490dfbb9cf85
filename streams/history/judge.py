"""Which records count: the one place outside the owners where records of the events topic are judged."""

from __future__ import annotations

from statemachine.errors import IllegalEvent
from statemachine.events import Claimed, Event
from statemachine.partition import PartitionState
from streams.errors import LogCorrupt
from streams.history.entry import HistoryEntry
from streams.log.reader import Record
from streams.wire.event import decode_event


class _Partitions(dict[int, PartitionState]):
    def __missing__(self, partition: int) -> PartitionState:
        state = self[partition] = PartitionState(partition)
        return state


class Judge:
    """Folds records, each partition from its beginning, and says of each whether it counts.

    Attributes:
        topic: the events topic.
        partitions: the state of each partition, as far as it was judged.
    """

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.partitions: dict[int, PartitionState] = _Partitions()

    def judge(self, record: Record) -> HistoryEntry:
        """Judge the next record of its partition.

        Raises:
            LogCorrupt: it cannot be read, or counts and is illegal; the message names topic, partition and offset.
        """
        event = self.read(record)
        try:
            return self.fold(record, event)
        except IllegalEvent as error:
            raise LogCorrupt(f"{self.place(record)}: {error}") from error

    def read(self, record: Record) -> Claimed | Event:
        """What a record says.

        Raises:
            LogCorrupt: its bytes are not a record of this log.
        """
        return decode_event(record.value, self.place(record))

    def fold(self, record: Record, event: Claimed | Event) -> HistoryEntry:
        """Fold what a record says.

        Raises:
            IllegalEvent: it counts and does not follow from what is before it; the state is as it was.
        """
        verdict = self.partitions[record.partition].fold(record.offset, event)
        raw = record.value or b""
        return HistoryEntry(self.topic, record.partition, record.offset, record.timestamp_ms, verdict, event, raw)

    def place(self, record: Record) -> str:
        """Topic, partition and offset of a record, as messages name it."""
        return f"{self.topic}:{record.partition}:{record.offset}"
