"""The judgement of a round, from what it left behind; it knows none of the service's own rules of folding."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from tests.chaos.answers import check_answers
from tests.chaos.evidence import Evidence, Finding
from tests.chaos.facts import Lives
from tests.chaos.fold import Log, Told
from tests.chaos.keeping import check_keeping
from tests.chaos.leaks import check_leaks
from tests.chaos.migrations import check_migrations
from tests.chaos.rows import check_rows
from tests.chaos.sessions import check_sessions

TICK = timedelta(milliseconds=1)
"""How exact times in records are."""

LATE = timedelta(seconds=30)
"""How long after a deadline, at the end of a round, somebody must have acted on it."""


def check(evidence: Evidence, partitions: int) -> list[Finding]:
    """Everything that must not be, of everything that was seen."""
    log = Log(evidence.events)
    found = [*log.findings, *_readers(evidence, log), *check_answers(evidence, log, Lives(log))]
    found += _deadlines(evidence, log)
    found += [*check_rows(evidence, log), *check_sessions(evidence, log, partitions), *check_leaks(evidence)]
    found += [*check_migrations(evidence, log), *check_keeping(evidence, log)]
    found += [Finding("vacuous", what, "it was meant for an owner, and met none") for what in evidence.unmet]
    found += [Finding("audit", "events", what) for what in evidence.audit or ()]
    return list(dict.fromkeys(found))


def _readers(evidence: Evidence, log: Log) -> Iterator[Finding]:
    """What the client showed as counting is what counts."""
    if evidence.watched is None:
        return
    for partition, offset in sorted(evidence.watched - log.counting):
        yield Finding("readers", f"events:{partition}:{offset}", "a client was shown it, and it does not count")
    # What was appended later, while the client was closed, it need not have shown.
    due = {
        (partition, offset) for partition, offset in log.counting if offset < evidence.watched_until.get(partition, 0)
    }
    for partition, offset in sorted(due - evidence.watched):
        yield Finding("readers", f"events:{partition}:{offset}", "it counts, and a client was not shown it")


def _deadlines(evidence: Evidence, log: Log) -> Iterator[Finding]:
    """A pause with an end is lifted then: not before, and not never."""
    # Kafka's time of the last record: times in events are by the workers' clocks, which may be wrong on purpose.
    now = datetime.fromtimestamp(max((record.timestamp_ms for record in evidence.events), default=0) / 1000, UTC)
    for tenant, events in log.of.items():
        until: datetime | None = None
        for event in events:
            if event.type == "connect.resumed":
                yield from _early(evidence, event, until)
            if event.type in {"connect.paused", "connect.resumed"}:
                until = _moment(event.data.get("until"))
        if until is not None and until < now - LATE:
            yield Finding("deadline", tenant, f"paused until {until.isoformat()}, and never resumed")


def _early(evidence: Evidence, event: Told, until: datetime | None) -> Iterator[Finding]:
    if event.cause.startswith("timer:") and not evidence.clocks_jumped and until and event.time + TICK < until:
        what = f"the pause was lifted {(until - event.time).total_seconds():.3f} s before its end"
        yield Finding("deadline", event.tenant, what)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
