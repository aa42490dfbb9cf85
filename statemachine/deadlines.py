"""The moments at which the owner must act again, derived from the state."""

from __future__ import annotations

from datetime import datetime

from statemachine.commands import Deadline
from statemachine.machines import Lifecycle
from statemachine.state import TenantState


def deadlines(state: TenantState) -> dict[Deadline, datetime]:
    """Each deadline that ``state`` has; all of them are in events, so a takeover changes none."""
    due = {
        Deadline.PAUSE: None if state.pause is None else state.pause.until,
        Deadline.CONNECT_LIMIT: state.retry_at,
    }
    if state.lifecycle is Lifecycle.READY:
        due[Deadline.DATABASE_RECOVERY] = state.recovery_until
        due[Deadline.REPLICATION_ATTEMPT] = state.next_attempt_at
        due[Deadline.REPLICATION_RECOVERY] = state.replication_until
        due[Deadline.IDLE_SHUTDOWN] = state.shutdown_at
    return {deadline: at for deadline, at in due.items() if at is not None}
