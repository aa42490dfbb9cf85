"""The judgement of a round, from what it left behind; it knows none of the service's own rules of folding."""

from __future__ import annotations

from collections.abc import Iterator

from tests.chaos.answers import check_answers
from tests.chaos.endings import check_endings
from tests.chaos.evidence import Evidence, Finding
from tests.chaos.facts import Lives
from tests.chaos.fold import Log
from tests.chaos.keeping import check_keeping
from tests.chaos.lateness import check_lateness
from tests.chaos.leaks import check_leaks
from tests.chaos.migrations import check_migrations
from tests.chaos.rows import check_rows
from tests.chaos.sessions import check_sessions


def check(evidence: Evidence, partitions: int) -> list[Finding]:
    """Everything that must not be, of everything that was seen."""
    log = Log(evidence.events)
    found = [*log.findings, *_readers(evidence, log), *check_answers(evidence, log, Lives(log))]
    found += check_lateness(evidence, log)
    found += [*check_rows(evidence, log), *check_sessions(evidence, log, partitions), *check_leaks(evidence)]
    found += [*check_migrations(evidence, log), *check_keeping(evidence, log)]
    found += check_endings(evidence)
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
