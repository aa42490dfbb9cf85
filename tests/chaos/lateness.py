"""Deadlines: a pause with an end is lifted then, not before, and soon after where somebody owns its partition.

A deadline is late by the time of its owners only. Who took a partition over has it from the claim on, and arms what the
owner before had armed; without that, a tenant whom nobody touches again stays paused.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, NamedTuple

from tests.chaos.evidence import Evidence, Finding, Life
from tests.chaos.facts import moment
from tests.chaos.fold import Claimed, Log, Told
from tests.chaos.keeping import SETTLED_S, claimed_by

TICK: Final = timedelta(milliseconds=1)
"""How exact times in records are."""

OVERDUE_S: Final = 5.0
"""How long one owner, in peace, may have a partition in which something is due: it reads up to its claim first."""

LIFTED: Final = "timer:"
"""What the cause of an event begins with that a deadline led to."""

Span = tuple[float, float]
"""Two moments, in seconds since 1970."""


class Held(NamedTuple):
    """A pause with an end that counts.

    Attributes:
        paused: the event.
        until: its end.
        after: the next event of the tenant, None where there is none.
    """

    paused: Told
    until: datetime
    after: Told | None


def check_lateness(evidence: Evidence, log: Log) -> Iterator[Finding]:
    """Everything that is wrong with deadlines."""
    if evidence.clocks_jumped:
        # By a clock that is wrong on purpose, a deadline is early and late.
        return
    spans = _owned(evidence, log)
    for held in held_in(log):
        yield from _early(held)
        yield from _overdue(held, spans[held.paused.partition])
        if held.paused.tenant in evidence.sleepers:
            yield from _lifted_by_another(held)


def held_in(log: Log) -> Iterator[Held]:
    """Every pause with an end that counts."""
    for events in log.of.values():
        for paused, after in pairwise([*events, None]):
            until = moment(paused.data.get("until")) if paused and paused.type == "connect.paused" else None
            if paused is not None and until is not None:
                yield Held(paused, until, after)


def taken_over(log: Log) -> int:
    """How many pauses were lifted at their end by another owner than the one that they began under."""
    lifted = [(held.paused, held.after) for held in held_in(log) if held.after and _by_its_end(held.after)]
    return sum(paused.claim != after.claim for paused, after in lifted)


def _by_its_end(event: Told) -> bool:
    return event.type == "connect.resumed" and event.cause.startswith(LIFTED)


def _early(held: Held) -> Iterator[Finding]:
    if held.after is not None and _by_its_end(held.after) and held.after.time + TICK < held.until:
        what = f"the pause was lifted {(held.until - held.after.time).total_seconds():.3f} s before its end"
        yield Finding("deadline", held.paused.tenant, what)


def _overdue(held: Held, spans: Sequence[Span]) -> Iterator[Finding]:
    """One owner had it for long, and did not act."""
    due = max(held.until.timestamp(), held.paused.sent_ms / 1000)
    acted = float("inf") if held.after is None else held.after.sent_ms / 1000
    late = max((min(last, acted) - max(first, due) for first, last in spans), default=0.0)
    if late > OVERDUE_S:
        end = "was never lifted" if held.after is None else f"ended with {held.after.type} by {held.after.cause}"
        what = f"paused until {held.until.isoformat()}: one owner let {late:.1f} s pass in peace, and it {end}"
        yield Finding("deadline", held.paused.tenant, what)


def _lifted_by_another(held: Held) -> Iterator[Finding]:
    if held.after is not None and not _by_its_end(held.after):
        what = f"nobody touched it, and its pause ended with {held.after.type} by {held.after.cause}"
        yield Finding("deadline", held.paused.tenant, what)


def _owned(evidence: Evidence, log: Log) -> defaultdict[int, list[Span]]:
    """When somebody owned a partition in peace: its process went on, and Kafka was in its reach."""
    released = {worker: list(_released(text)) for worker, text in evidence.logs.items()}
    unrest = _unrest(evidence)
    found: defaultdict[int, list[Span]] = defaultdict(list)
    for partition, claims in log.claims.items():
        ends = [claim.timestamp_ms / 1000 for claim in claims[1:]] + [float("inf")]
        for claim, end in zip(claims, ends, strict=True):
            let_go = [at for number, at in released.get(claim.worker, ()) if number == partition]
            for first, last in _working(evidence.lives.get(claim.worker), claim):
                found[partition] += _without((first, min([last, end, *(at for at in let_go if at > first)])), unrest)
    return found


def _working(lives: Sequence[Life] | None, claim: Claimed) -> Iterator[Span]:
    """From its claim on, when a process went on; always where nobody looked at processes."""
    began = claim.timestamp_ms / 1000
    if lives is None:
        yield began, float("inf")
        return
    pid = claimed_by(lives, began)
    for life in lives:
        if not life.frozen and life.pid == pid and life.last > began:
            yield max(began, life.first), life.last


def _unrest(evidence: Evidence) -> list[Span]:
    """When Kafka or the network was harmed, and some time after that: deadlines need no database."""
    databases = {began for began, _ in evidence.database_faults}
    return sorted((began, ended + SETTLED_S) for began, ended in evidence.upsets if began not in databases)


def _without(span: Span, unrest: Sequence[Span]) -> Iterator[Span]:
    """What is left of a span."""
    first, last = span
    for began, ended in unrest:
        if began > first:
            yield first, min(began, last)
        first = max(first, ended)
    if first < last:
        yield first, last


def _released(text: bytes) -> Iterator[tuple[int, float]]:
    """Which partitions a worker's log says were let go, and when."""
    for line in text.splitlines():
        if b'"partition.released"' not in line:
            continue
        try:
            body = json.loads(line)
        except ValueError:
            # Cut off when its process was killed.
            continue
        yield body["partition"], datetime.fromisoformat(body["timestamp"]).timestamp()
