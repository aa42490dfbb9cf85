"""Whether a resume point can be trusted, and what is done where it cannot: pure.

A point says: what transactions below `xmin` wrote is delivered, and so is every commit up to `lsn`. That holds on the
server it was made on, for as long as the server's history goes on from there. A server that was restored, or promoted
while it was behind, has another history: it gives LSNs and transaction numbers out a second time.

Source: https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-TIMELINES
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from streams.wire.lsn import lsn_of, lsn_text
from streams.wire.position import ResumePoint

AHEAD_MAX: Final = 1 << 31
"""Transactions that a point may lie behind: half of what the 32 bits in a row tell apart."""

BY_INSERTED_AT: Final = "inserted_at"
"""How rows were recovered where their transactions could not tell."""

_ENDED_TIMELINE: Final = re.compile(r"\s*(\d+)\s+([0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8})")


class Cause(StrEnum):
    """Why rows may be missing from the broadcasts."""

    NO_POINT = "no_resume_point"
    OLDER_CLAIM = "resume_point_of_an_older_claim"
    TOO_OLD = "resume_point_older_than_the_retention"
    ANOTHER_SYSTEM = "another_system"
    ANOTHER_HISTORY = "another_timeline"
    SERVER_BEHIND = "server_behind_the_resume_point"
    WRAPPED = "transaction_numbers_wrapped"
    REWRITTEN = "history_rewritten"


@dataclass(frozen=True, slots=True)
class Gap:
    """A loss that cannot be excluded.

    Attributes:
        from_lsn: up to here rows are known to be delivered; None where nothing is known, or it is of another server.
        to_lsn: from here on every row is streamed; None where the two lie in different histories.
        cause: one of `Cause`.
        recovered_by: what was done about it.
    """

    from_lsn: str | None
    to_lsn: str | None
    cause: str
    recovered_by: str | None


@dataclass(frozen=True, slots=True)
class FromPoint:
    """Rows that transactions at or above `xmin` (64 bits) wrote; `at` is when the point was made."""

    xmin: int
    lsn: int
    at: datetime


@dataclass(frozen=True, slots=True)
class ByTime:
    """Rows that say they were inserted at or after `since`."""

    since: datetime


@dataclass(frozen=True, slots=True)
class Fresh:
    """No rows: nothing was promised before, or nothing is made up for."""


Resume = FromPoint | ByTime | Fresh


@dataclass(frozen=True, slots=True)
class Server:
    """What the server says of itself at the new slot's beginning.

    Attributes:
        system_identifier: of its data.
        timeline: the one it is on.
        ended_timelines: those before it, each with the LSN at which it was left.
        lsn: where the slot begins.
        next_xid: the next transaction number, in 64 bits.
        now: its clock; aware.
    """

    system_identifier: str
    timeline: int
    ended_timelines: Mapping[int, int]
    lsn: int
    next_xid: int
    now: datetime


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of streaming before.

    Attributes:
        point: the latest resume point that counts, None where there is none.
        streamed_until: last time that rows are known to have been streamed; aware, None for never.
        started_claim: claim of the last start, None where there was none.
        promised_since: since when rows are to be delivered, where none ever were; aware, None for from now on.
    """

    point: ResumePoint | None = None
    streamed_until: datetime | None = None
    started_claim: int | None = None
    promised_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Which rows are read back, and what cannot be excluded to be missing after that."""

    resume: Resume
    gap: Gap | None = None


def plan(known: Known, server: Server, *, retention: timedelta, overlap: timedelta) -> Plan:
    """Decide from where to resume.

    Args:
        known: what is known of streaming before.
        server: where the new slot begins.
        retention: how long rows are kept in the table.
        overlap: how much earlier than the last known moment rows are read back, where only their time tells.
    """
    point = known.point
    if point is None:
        if known.streamed_until is None:
            return _first(known.promised_since, server, retention, overlap)
        return Plan(
            ByTime(known.streamed_until - overlap), Gap(None, lsn_text(server.lsn), Cause.NO_POINT, BY_INSERTED_AT)
        )
    distrust = _distrust(point, known.started_claim, server, retention)
    if distrust is None:
        return Plan(FromPoint(point.xmin, point.lsn, point.at))
    return Plan(ByTime(point.at - overlap), _gap(point, server, distrust))


def _first(promised_since: datetime | None, server: Server, retention: timedelta, overlap: timedelta) -> Plan:
    """Nothing was streamed yet: what was promised is read back, as far as the table still has it."""
    if promised_since is None:
        return Plan(Fresh())
    late = server.now - promised_since > retention
    return Plan(
        ByTime(promised_since - overlap),
        Gap(None, lsn_text(server.lsn), Cause.NO_POINT, BY_INSERTED_AT) if late else None,
    )


def ended_timelines(history: str) -> dict[int, int]:
    """Read a timeline history file: each earlier timeline, and the LSN at which it was left."""
    found = (_ENDED_TIMELINE.match(line) for line in history.splitlines())
    return {int(line.group(1)): lsn_of(line.group(2)) for line in found if line is not None}


def rewritten(point_lsn: int, server: Server) -> Gap:
    """The gap where rows turned up that no continuation of the point's history could have."""
    return Gap(lsn_text(point_lsn), lsn_text(server.lsn), Cause.REWRITTEN, BY_INSERTED_AT)


def _distrust(point: ResumePoint, started_claim: int | None, server: Server, retention: timedelta) -> Cause | None:
    """The first reason there is."""
    reasons = {
        Cause.ANOTHER_SYSTEM: point.system_identifier != server.system_identifier,
        Cause.ANOTHER_HISTORY: point.timeline != server.timeline and not _is_on_the_way(point, server),
        Cause.SERVER_BEHIND: server.lsn < point.lsn or server.next_xid < point.xmin,
        Cause.WRAPPED: server.next_xid - point.xmin >= AHEAD_MAX,
        Cause.TOO_OLD: server.now - point.at > retention,
        Cause.OLDER_CLAIM: started_claim is not None and point.claim < started_claim,
    }
    return next((cause for cause, holds in reasons.items() if holds), None)


def _is_on_the_way(point: ResumePoint, server: Server) -> bool:
    """Whether the server's timeline goes through the point: it left the point's timeline no earlier than there."""
    left_at = server.ended_timelines.get(point.timeline)
    return left_at is not None and point.lsn <= left_at


def _gap(point: ResumePoint, server: Server, cause: Cause) -> Gap:
    comparable = cause not in {Cause.ANOTHER_SYSTEM, Cause.ANOTHER_HISTORY, Cause.SERVER_BEHIND}
    return Gap(lsn_text(point.lsn), lsn_text(server.lsn) if comparable else None, cause, BY_INSERTED_AT)
