"""Deciding on the stream of a tenant's rows: started, broken, put off, tried again."""

from __future__ import annotations

from datetime import datetime, timedelta

from statemachine.commands import GapFound, StreamFailed, StreamStarted
from statemachine.events import ReplicationGap, ReplicationLost, ReplicationPostponed, ReplicationStarted
from statemachine.machines import Lifecycle, Replication
from statemachine.state import TenantState
from statemachine.terms import Terms


def stream_started(
    state: TenantState, report: StreamStarted, _now: datetime, _terms: Terms
) -> ReplicationStarted | None:
    """Streaming, from every state of replication but off: after a takeover also from streaming."""
    if not _streams(state):
        return None
    return ReplicationStarted(
        report.slot,
        report.mode,
        report.resumed_from,
        report.system_identifier,
        report.timeline,
        report.backfilled,
        report.delivers_from_lsn,
    )


def stream_failed(
    state: TenantState, report: StreamFailed, now: datetime, terms: Terms
) -> ReplicationLost | ReplicationPostponed | None:
    """Waiting for the next attempt. The first failure opens the recovery window, and later ones leave it as it is."""
    if not _streams(state):
        return None
    until = state.replication_until or now + terms.replication_recovery_window
    shortest, longest = terms.replication_delay_min, terms.replication_delay_max
    attempt_at = now + next_delay(state.replication_delay, report.chance, shortest, longest)
    if state.replication is Replication.STREAMING:
        return ReplicationLost(report.code, report.message, attempt_at, until, report.resume_point)
    return ReplicationPostponed(report.code, report.message, attempt_at, until, report.resume_point, report.blocked_by)


def gap_found(state: TenantState, report: GapFound, _now: datetime, _terms: Terms) -> ReplicationGap | None:
    """A gap is told wherever rows are to be streamed."""
    if not _streams(state):
        return None
    return ReplicationGap(report.from_lsn, report.to_lsn, report.cause, report.recovered_by)


def next_delay(previous: timedelta | None, chance: float, shortest: timedelta, longest: timedelta) -> timedelta:
    """How long to wait after a wait of ``previous``: random-exponential.

    Between the wait before, or a third of the longest where that is less, and three times that, never above the
    longest; ``chance`` from 0 to 1 says where in between. The first lies between ``shortest`` and three times that,
    and none is below ``shortest``, whatever it was when the wait before was chosen.
    """
    before = max(shortest, previous or shortest)
    low = min(before, max(shortest, longest / 3))
    high = max(low, min(3 * before, longest))
    return low + (high - low) * chance


def _streams(state: TenantState) -> bool:
    return state.lifecycle is Lifecycle.READY and state.replication is not Replication.OFF
