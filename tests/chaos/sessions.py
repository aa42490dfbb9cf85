"""What the servers showed of workers' sessions, held against the log: one owner at a time, and nobody stays behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from streams.kafka.partitioner import partition_of
from tests.chaos.evidence import Evidence, Finding, Sight
from tests.chaos.fold import Claimed, Log

ENDING_S: Final = 3.0
"""How long sessions of an older claim may be seen beside the one that holds the lock: they are being ended then."""

UNTOLD_S: Final = 3.0
"""How long an older claim may have a lock that a newer one has let go of: what its worker proved just before it was
deposed may be true no more when the lock is taken, and the newer owner comes for it."""

DEPOSED_S: Final = 10.0
"""How long sessions of a claim may go on after a newer one stood on the log, whoever has the lock: the newer owner
reads the log to its claim, and comes for one tenant after the other. Where Kafka, the network or databases are harmed
meanwhile, that time does not count."""

LOCKED_TWICE_S: Final = 0.5
"""How long two sessions may seem to have one lock: sessions and locks are not read at one and the same moment."""

HELD_UNDER_ONE_MAX: Final = 3
"""Sessions under one claim: the one with the lock, the pool's (one, in these rounds), and the stream's."""

HELD_S: Final = 15.0
"""How long a slot may hold more WAL than the server lets it: the server looks only at a checkpoint."""

APART_S: Final = 2.0
"""Looks further apart than this are not of one and the same time."""


def check_sessions(evidence: Evidence, log: Log, partitions: int) -> Iterator[Finding]:
    """Everything that is wrong with sessions."""
    for tenant, sights in evidence.sights.items():
        yield from _overlap(tenant, sights)
        yield from _regained(tenant, sights)
        claims = log.claims[partition_of(tenant, partitions)]
        yield from _unclaimed(tenant, sights, {claim.offset for claim in claims})
        yield from _deposed(tenant, sights, claims, evidence.upsets)
        yield from _doubled(tenant, sights)
        if tenant in evidence.steady:
            yield from _reopened(tenant, sights, evidence.database_faults)
    for tenant in sorted(evidence.sessions_left):
        yield Finding("sessions", tenant, "sessions or slots are left though every worker has stopped")
    yield from _held(evidence.held)


def _held(looks: Sequence[tuple[float, str, int]]) -> Iterator[Finding]:
    """A slot holds too much WAL, and goes on doing so: it fills the tenant's disk."""
    since: dict[str, tuple[float, float]] = {}
    told: set[str] = set()
    for moment, slot, held in looks:
        began, last = since.get(slot, (moment, moment))
        began = moment if moment - last > APART_S else began
        since[slot] = (began, moment)
        if moment - began > HELD_S and slot not in told:
            told.add(slot)
            yield Finding("wal", slot, f"more than it may hold for {moment - began:.0f} s: {held} bytes")


def _overlap(tenant: str, sights: Sequence[Sight]) -> Iterator[Finding]:
    """A newer owner holds the lock, and sessions of an older one go on beside it."""
    since: float | None = None
    told = False
    for sight in sights:
        held = max((session.claim for session in sight.sessions if session.holder), default=-1)
        older = sorted({session.claim for session in sight.sessions if session.claim < held})
        since = None if not older else sight.first if since is None else since
        told = told and bool(older)
        if since is not None and sight.last - since > ENDING_S and not told:
            told = True
            yield Finding("two owners", tenant, f"claims {older} beside {held} for {sight.last - since:.1f} s")


def _deposed(
    tenant: str, sights: Sequence[Sight], claims: Sequence[Claimed], upsets: Sequence[tuple[float, float]]
) -> Iterator[Finding]:
    """Sessions of a claim go on long after a newer one stood on the log, whether its owner came or not."""
    told: set[int] = set()
    for sight in sights:
        for claim in sorted({session.claim for session in sight.sessions} - told):
            newer = next((each for each in claims if each.offset > claim), None)
            late = 0.0 if newer is None else _calm(newer.timestamp_ms / 1000, sight.last, upsets)
            if newer is not None and late > DEPOSED_S:
                told.add(claim)
                what = f"sessions of claim {claim} go on {late:.1f} s after {newer.offset} stood on the log"
                yield Finding("two owners", tenant, what)


def _calm(first: float, last: float, upsets: Sequence[tuple[float, float]]) -> float:
    """The time from ``first`` to ``last`` without any of ``upsets``, which may overlap."""
    calm, since = 0.0, first
    for began, ended in sorted(upsets):
        calm += max(0.0, min(began, last) - since)
        since = max(since, ended)
    return calm + max(0.0, last - since)


def _doubled(tenant: str, sights: Sequence[Sight]) -> Iterator[Finding]:
    """Two sessions have what only one can have, or one claim has more sessions than it needs."""
    for sight in sights:
        lasted, holders = sight.last - sight.first, sorted(each.pid for each in sight.sessions if each.holder)
        if len(holders) > 1 and lasted > LOCKED_TWICE_S:
            yield Finding("two owners", tenant, f"backends {holders} have the lock for {lasted:.1f} s")
        for claim, number in Counter(each.claim for each in sight.sessions).items():
            if number > HELD_UNDER_ONE_MAX and lasted > ENDING_S:
                yield Finding("doubled", tenant, f"{number} sessions under claim {claim} for {lasted:.1f} s")


def _regained(tenant: str, sights: Sequence[Sight]) -> Iterator[Finding]:
    """An older claim has the lock after a newer one had it, for longer than one can be that does not know."""
    highest, since = -1, 0.0
    for sight in sights:
        held = max((session.claim for session in sight.sessions if session.holder), default=highest)
        since = sight.first if held >= highest else since
        if sight.last - since > UNTOLD_S and held < highest:
            yield Finding("two owners", tenant, f"claim {held} has the lock after {highest} had it")
            return
        highest = max(highest, held)


def _unclaimed(tenant: str, sights: Sequence[Sight], claims: set[int]) -> Iterator[Finding]:
    """The lock is held under a claim that never counted: an effect of an owner that was none."""
    held = {session.claim for sight in sights for session in sight.sessions if session.holder}
    for claim in sorted(held - claims):
        yield Finding("no owner", tenant, f"the lock was held under claim {claim}, which does not count")


def _reopened(tenant: str, sights: Sequence[Sight], faults: Sequence[tuple[float, float]]) -> Iterator[Finding]:
    """The same owner holds the tenant by another session, though nothing happened to it."""
    before: tuple[int, int, float] | None = None
    for sight in sights:
        for pid, claim, holder in sight.sessions:
            if not holder:
                continue
            claim_before, pid_before, seen = before or (claim, pid, sight.first)
            if claim == claim_before and pid != pid_before and not _disturbed(seen, sight.first, faults):
                yield Finding("reopened", tenant, f"backend {pid} in the place of {pid_before} under claim {claim}")
            before = (claim, pid, sight.last)


def _disturbed(first: float, last: float, faults: Sequence[tuple[float, float]]) -> bool:
    return any(began <= last and first <= ended for began, ended in faults)
