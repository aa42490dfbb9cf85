"""Who keeps a partition when others come and go keeps its claim, and so everything that is held under it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

from tests.chaos.evidence import Evidence, Finding, Life
from tests.chaos.fold import Claimed, Log

SETTLED_S: Final = 15.0
"""For how long after Kafka or its network was harmed a worker may find itself put out of the group: three session
timeouts of these rounds, and some."""

LOOK_S: Final = 0.5
"""How exactly the life of a process is known: looks are apart, and late where the machine is busy."""

TOLD: Final = frozenset({"partition.claimed", "worker.ready"})
"""Lines of a worker's log that say what it holds."""


def check_keeping(evidence: Evidence, log: Log) -> Iterator[Finding]:
    """Partitions that a worker claimed again though it had never lost them."""
    told = {worker: list(_told(text)) for worker, text in evidence.logs.items()}
    for partition, claims in log.claims.items():
        for before, after in pairwise(claims):
            if before.worker != after.worker or not _went_on(evidence, before, after):
                continue
            if _kept(told.get(after.worker, ()), partition, before.offset, after.offset):
                what = f"{after.worker} kept it, and claimed it at {before.offset} and again at {after.offset}"
                yield Finding("reclaimed", f"events:{partition}", what)


def _went_on(evidence: Evidence, before: Claimed, after: Claimed) -> bool:
    """Whether nothing happened to a worker from one claim to the next: one process, never frozen, Kafka in reach."""
    first, last = before.timestamp_ms / 1000, after.timestamp_ms / 1000
    lives: Sequence[Life] = evidence.lives.get(after.worker, ())
    pid = claimed_by(lives, first)
    if not any(
        life.pid == pid and not life.frozen and life.first - LOOK_S <= first and last <= life.last + LOOK_S
        for life in lives
    ):
        return False
    return not any(began <= last and first <= ended + SETTLED_S for began, ended in evidence.upsets)


def claimed_by(lives: Sequence[Life], at: float) -> int | None:
    """Which process of a worker made a claim: one that was seen before and after; if none was, one seen about then."""
    for slack in (0.0, LOOK_S):
        for life in lives:
            if not life.frozen and life.first - slack <= at <= life.last + slack:
                return life.pid
    return None


def _kept(told: Sequence[dict[str, Any]], partition: int, first: int, last: int) -> bool:
    """Whether a worker took both claims and never said in between that it holds others only: then it had moved."""
    places = [_place(told, partition, claim) for claim in (first, last)]
    if None in places:
        # It had not held the partition under the first claim, or does not under the second.
        return False
    between = told[places[0] : places[1]]
    return all(partition in line["partitions"] for line in between if line["event"] == "worker.ready")


def _place(told: Sequence[dict[str, Any]], partition: int, claim: int) -> int | None:
    for place, line in enumerate(told):
        if line["event"] == "partition.claimed" and (line["partition"], line["claim"]) == (partition, claim):
            return place
    return None


def _told(text: bytes) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if any(name.encode() in line for name in TOLD):
            try:
                body = json.loads(line)
            except ValueError:
                # Cut off when its process was killed.
                continue
            if body["event"] in TOLD:
                yield body
