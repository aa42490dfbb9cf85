"""The refusal of a command, as data: the core returns it, the owner answers with it."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from statemachine.errors import (
    PooledEndpoint,
    Refused,
    TenantDatabaseUnavailable,
    TenantNotFound,
    TenantPaused,
    TenantSuspended,
    TooManyConnections,
)
from statemachine.state import Stop, StopReason


class Rejection(NamedTuple):
    """A command was refused and changed nothing.

    Attributes:
        error: which error, with its code, meaning and remedy.
        message: what it means here.
        retry_at: when asking again makes sense, where that is known.
    """

    error: type[Refused]
    message: str
    retry_at: datetime | None = None


_BY_REASON: Final[dict[StopReason, type[Refused]]] = {
    StopReason.TENANT_NOT_FOUND: TenantNotFound,
    StopReason.SUSPENDED: TenantSuspended,
    StopReason.PAUSED: TenantPaused,
    StopReason.TOO_MANY_CONNECTIONS: TooManyConnections,
    StopReason.POOLED_ENDPOINT: PooledEndpoint,
}


_MEANWHILE: Final = frozenset(
    {StopReason.REQUESTED, StopReason.IDLE, StopReason.REBALANCING, StopReason.REMOVED, StopReason.DATABASE_CLOSED}
)
"""Stops in which nothing is wrong with the database: who waits learns that somebody or something was faster."""


def rejection_of(stop: Stop) -> Rejection:
    """How a caller who waits for a connection learns that it stopped."""
    error = _BY_REASON.get(stop.reason, TenantDatabaseUnavailable)
    if stop.reason in _MEANWHILE:
        said = f": {stop.message}" if stop.message else ""
        return Rejection(error, f"the tenant was stopped meanwhile, {stop.reason.value}{said}")
    return Rejection(error, stop.message or error.meaning)
