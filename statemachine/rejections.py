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


def rejection_of(stop: Stop) -> Rejection:
    """How a caller who waits for a connection learns that it stopped."""
    error = _BY_REASON.get(stop.reason, TenantDatabaseUnavailable)
    return Rejection(error, stop.message or error.meaning)
