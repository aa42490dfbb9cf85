"""What the servers showed of workers' sessions, held against the log: one owner at a time, and nobody stays behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from streams.kafka.partitioner import partition_of
from tests.chaos.evidence import Evidence, Finding, Sight
from tests.chaos.fold import Log

ENDING_S: Final = 3.0
"""How long sessions of an older claim may be seen beside the one that holds the lock: they are being ended then."""

UNTOLD_S: Final = 3.0
"""How long an older claim may have a lock that a newer one has let go of: what its worker proved just before it was
deposed may be true no more when the lock is taken, and the newer owner comes for it."""


HELD_S: Final = 15.0
"""How long a slot may hold more WAL than the server lets it: the server looks only at a checkpoint."""

APART_S: Final = 2.0
"""Looks further apart than this are not of one and the same time."""


def check_sessions(evidence: Evidence, log: Log, partitions: int) -> Iterator[Finding]:
    """Everything that is wrong with sessions."""
    for tenant, sights in evidence.sights.items():
        yield from _overlap(tenant, sights)
        yield from _regained(tenant, sights)
        yield from _unclaimed(tenant, sights, {claim.offset for claim in log.claims[partition_of(tenant, partitions)]})
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
