"""Deciding on whether anybody uses a tenant, from the sum of the gateways' reports."""

from __future__ import annotations

from datetime import datetime

from statemachine.commands import UsersCounted
from statemachine.events import OccupancyIdle, OccupancyUsed
from statemachine.machines import Lifecycle, Occupancy
from statemachine.state import TenantState
from statemachine.terms import Terms


def users_counted(
    state: TenantState, report: UsersCounted, now: datetime, terms: Terms
) -> OccupancyUsed | OccupancyIdle | None:
    """Used at the first user; idle once nobody came for the whole window."""
    if state.lifecycle is not Lifecycle.READY:
        return None
    if report.users > 0:
        return None if state.occupancy is Occupancy.USED else OccupancyUsed(report.users)
    if state.occupancy is Occupancy.IDLE:
        return None
    idle_at = _unused_since(state, report, now) + terms.idle_window
    return OccupancyIdle(idle_at + terms.idle_grace) if idle_at <= now else None


def _unused_since(state: TenantState, report: UsersCounted, now: datetime) -> datetime:
    """Not before the tenant became ready, nor before its last user was told of."""
    known = (report.empty_since, state.since, state.occupancy_since)
    return max((moment for moment in known if moment is not None), default=now)
