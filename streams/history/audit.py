"""The audit of a log: every record is checked against every rule, and one finding stops nothing.

What counts is said by the same judge as for every other reader. What it refuses is looked into here, and the tenant
is then taken as the log goes on with it, so that one wrong record is one finding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from statemachine.errors import IllegalEvent
from statemachine.events import Claimed, Event
from statemachine.partition import Verdict
from streams.errors import LogCorrupt
from streams.history.continuation import Continuation
from streams.history.entry import HistoryEntry
from streams.history.envelope import problems
from streams.history.judge import Judge
from streams.history.source import KafkaSource, Source
from streams.log.reader import Record, Stretch
from streams.settings import Settings

NOTES_KEPT_MAX: Final = 1_000
"""Notes that a report keeps; findings are all kept."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong at one place of the log, or worth a note.

    Attributes:
        topic: the events topic.
        partition: its partition.
        offset: where the record stands, or should stand.
        code: which rule, see `streams.history.audit.CODES`.
        message: what was found, and what was due.
    """

    topic: str
    partition: int
    offset: int
    code: str
    message: str


CODES: Final = {
    "unreadable": "the bytes are not an event or a claim",
    "hash_mismatch": "the record's bytes do not have the hash that stands in it",
    "chain_broken": "the previous hash is not that of the tenant's event before",
    "sequence_gap": "the sequence does not follow that of the tenant's event before",
    "illegal_event": "the state before does not permit the event",
    "command_repeated": "the offset of the command is not above those that led to events before",
    "claim_unknown": "the event names a claim that is none, or stands behind it",
    "key_mismatch": "the record's key is not the tenant, or a claim has one",
    "wrong_partition": "the tenant belongs to another partition",
    "id_unexpected": "the event's id is not the one that follows from its content",
    "source_unexpected": "the event names another partition as its source",
    "envelope_invalid": "the record is not the CloudEvents object of the contract",
    "offset_gap": "records are missing, or stand before the first",
}
"""Every code of a finding."""

TIME_BACKWARDS: Final = "time_backwards"
"""The code of the one kind of note: clocks of workers may differ, so an earlier time is no finding."""


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What an audit found.

    Attributes:
        records: records read, unreadable ones included.
        valid: records that count.
        void: records written under a claim that did not hold; they are no finding.
        tenants: tenants with an event that counts.
        findings: what is wrong, in order within each partition.
        notes: what is remarkable and not wrong, the first `NOTES_KEPT_MAX`.
    """

    records: int
    valid: int
    void: int
    tenants: int
    findings: tuple[Finding, ...]
    notes: tuple[Finding, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def verify(settings: Settings, source: Source | None = None) -> AuditReport:
    """Check every record of the region's log as it is now.

    Args:
        settings: where Kafka is, topic prefix and region.
        source: another events topic than the settings'.

    Raises:
        KafkaUnreachable: no broker answers.
        TopicsDiffer: there is no events topic.
    """
    found = source or KafkaSource(settings)
    return Audit(found, settings.region).run()


class Audit:
    """One audit.

    Args:
        source: the events topic.
        region: whose it is.
    """

    def __init__(self, source: Source, region: str) -> None:
        self._source = source
        self._region = region
        self._judge = Judge(source.topic)
        self._due: dict[int, int] = {}
        self._claims: set[tuple[int, int]] = set()
        self._times: dict[str, datetime] = {}
        self._continuation = Continuation()
        self._count = 0
        self._verdicts = Counter[Verdict]()
        self._partitions = 0
        self._findings: list[Finding] = []
        self._notes: list[Finding] = []

    def run(self) -> AuditReport:
        """Read and check everything."""
        stretches = self._source.stretches()
        self._partitions = len(stretches)
        for record in self._source.records(stretches):
            self._count += 1
            for code, message in self._record(record):
                self._find(record.partition, record.offset, code, message)
        for stretch in stretches:
            self._check_end(stretch)
        return AuditReport(
            records=self._count,
            valid=self._verdicts[Verdict.APPLIED],
            void=self._verdicts[Verdict.VOID],
            tenants=sum(len(partition.tenants) for partition in self._judge.partitions.values()),
            findings=tuple(sorted(self._findings, key=lambda finding: (finding.partition, finding.offset))),
            notes=tuple(self._notes),
        )

    def _record(self, record: Record) -> Iterator[tuple[str, str]]:
        yield from self._offset(record)
        try:
            event = self._judge.read(record)
        except LogCorrupt as error:
            yield "unreadable", str(error)
            return
        yield from problems(record, event, self._region, self._partitions)
        if isinstance(event, Claimed):
            self._claims.add((record.partition, record.offset))
        elif (record.partition, event.claim) not in self._claims:
            yield "claim_unknown", f"the event names claim {event.claim}, which is no claim before it"
        yield from self._fold(record, event)

    def _fold(self, record: Record, event: Claimed | Event) -> Iterator[tuple[str, str]]:
        try:
            entry = self._judge.fold(record, event)
        except IllegalEvent as error:
            if isinstance(event, Event):
                yield from self._continuation.refused(self._judge.partitions[record.partition], event, error)
            return
        self._verdicts[entry.verdict] += 1
        if entry.counts and isinstance(event, Event):
            self._continuation.applied(event)
            self._look_at_time(entry, event)

    def _offset(self, record: Record) -> Iterator[tuple[str, str]]:
        due = self._due.get(record.partition, 0)
        if record.offset != due:
            yield "offset_gap", f"offset {record.offset} where {due} was due"
        self._due[record.partition] = record.offset + 1

    def _check_end(self, stretch: Stretch) -> None:
        due = self._due.get(stretch.partition, 0)
        if due < stretch.end:
            self._find(stretch.partition, due, "offset_gap", f"no record from here to the end at {stretch.end}")

    def _look_at_time(self, entry: HistoryEntry, event: Event) -> None:
        before = self._times.get(event.tenant, event.time)
        if event.time < before and len(self._notes) < NOTES_KEPT_MAX:
            message = f"{event.time.isoformat()} is before {before.isoformat()}, the tenant's event before"
            self._notes.append(Finding(entry.topic, entry.partition, entry.offset, TIME_BACKWARDS, message))
        self._times[event.tenant] = event.time

    def _find(self, partition: int, offset: int, code: str, message: str) -> None:
        self._findings.append(Finding(self._source.topic, partition, offset, code, message))
