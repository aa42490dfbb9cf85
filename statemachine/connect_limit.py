"""Deciding on connect failures: how many within which time are too many."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from statemachine.commands import FailuresWeighed
from statemachine.errors import ConnectRateLimitReached
from statemachine.events import LimitReached
from statemachine.machines import Lifecycle
from statemachine.rejections import Rejection
from statemachine.state import StopReason, TenantState
from statemachine.terms import Terms

CONNECT_FAILURES: Final = frozenset(
    {
        StopReason.DATABASE_UNAVAILABLE,
        StopReason.TOO_MANY_CONNECTIONS,
        StopReason.POOLED_ENDPOINT,
        StopReason.MIGRATIONS_FAILED,
    }
)
"""Reasons of a connect that failed at the database; a tenant that is suspended or unknown has not failed."""

NOT_THE_DATABASES: Final = frozenset({"kafka_unreachable", "catalog_unreadable", "credentials_unreadable"})
"""Codes of a connect that did not come as far as the database: where to connect to could not be learned."""


def counts(reason: StopReason, code: str | None) -> bool:
    """Whether a connect that failed so counts towards the limit."""
    return reason in CONNECT_FAILURES and code not in NOT_THE_DATABASES


def failures_weighed(state: TenantState, _report: FailuresWeighed, now: datetime, terms: Terms) -> LimitReached | None:
    """Nothing more is tried until the first of the failures that count is as old as the window."""
    counted = state.failures[-terms.failures_max :]
    if state.lifecycle is not Lifecycle.ABSENT or state.retry_at is not None or len(counted) < terms.failures_max:
        return None
    retry_at = counted[0] + terms.failures_window
    within = counted[-1] - counted[0] <= terms.failures_window
    return LimitReached(retry_at) if within and now < retry_at else None


def limit_rejection(state: TenantState) -> Rejection:
    """How a connect learns that it is not tried."""
    message = f"connecting failed {len(state.failures)} times in a row, the last time too soon after the ones before"
    return Rejection(ConnectRateLimitReached, message, state.retry_at)
