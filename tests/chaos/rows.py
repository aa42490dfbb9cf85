"""Rows of durable tenants: each that was committed was delivered, in its place, or a gap that covers it says so."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from tests.chaos.evidence import Evidence, Finding, Row
from tests.chaos.fold import Log
from tests.chaos.gaps import gaps_of, number, uncovered

SHOWN_MAX = 5
"""Ids that a finding names."""


def check_rows(evidence: Evidence, log: Log) -> Iterator[Finding]:
    """Everything that is wrong with broadcasts."""
    on_topic = _on_topic(evidence)
    for tenant, committed in evidence.committed.items():
        gaps, placed = list(gaps_of(log.of[tenant])), evidence.placed[tenant]
        given = {row.id for row in evidence.delivered[tenant]}
        for where, missing in (("a client", committed - given), ("the topic", committed - on_topic[tenant])):
            lost = uncovered(missing, placed, gaps)
            if lost:
                yield Finding("row", tenant, f"{where} lacks {len(lost)} of {len(committed)}: {_some(lost)}")
        phantom = given - committed - evidence.unknown[tenant]
        if phantom:
            yield Finding("phantom", tenant, f"{len(phantom)} rows that nobody committed: {_some(phantom)}")
        yield from _order(tenant, evidence.delivered[tenant])


def _on_topic(evidence: Evidence) -> dict[str, set[str]]:
    """Ids by tenant, without what stands behind a higher claim."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    highest: defaultdict[int, int] = defaultdict(lambda: -1)
    for record in evidence.topics.get("broadcasts", ()):
        body = json.loads(record.value or b"{}")
        if body["claim"] >= highest[record.partition]:
            highest[record.partition] = body["claim"]
            found[body["tenant"]].add(body["id"])
    return found


def _order(tenant: str, rows: Sequence[Row]) -> Iterator[Finding]:
    places = [(row.claim, number(row.lsn), row.ordinal) for row in rows]
    for before, after in pairwise(places):
        if after <= before:
            yield Finding("row order", tenant, f"{after} was given after {before}")
            return


def _some(ids: set[str]) -> str:
    return ", ".join(sorted(ids)[:SHOWN_MAX])
