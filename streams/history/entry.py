"""One record of the events topic, read and judged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from statemachine.events import Claimed, Event
from statemachine.partition import Verdict


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One record of the events topic, and whether it counts.

    Attributes:
        topic: the events topic.
        partition: its partition.
        offset: its offset; for a claim, the claim's number.
        timestamp_ms: Kafka's time of the record, in milliseconds since 1970.
        verdict: APPLIED where it counts, VOID where it was written under a claim that did not hold.
        event: what it says.
        raw: the record's bytes, a CloudEvents 1.0 JSON object.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    verdict: Verdict
    event: Event | Claimed
    raw: bytes

    @property
    def counts(self) -> bool:
        """Whether the record changed anything."""
        return self.verdict is Verdict.APPLIED

    @property
    def tenant(self) -> str | None:
        """Whose event it is; None for a claim, which is the partition's."""
        return self.event.tenant if isinstance(self.event, Event) else None

    @property
    def time(self) -> datetime:
        """When it happened, aware, UTC: the event's own time, and for a claim Kafka's time of the record."""
        if isinstance(self.event, Event):
            return self.event.time
        return datetime.fromtimestamp(self.timestamp_ms / 1000, UTC)
