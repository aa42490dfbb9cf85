"""The moments at which the owner must act again, derived from the state."""

from __future__ import annotations

from datetime import datetime

from statemachine.commands import Deadline
from statemachine.machines import Lifecycle
from statemachine.state import TenantState


def deadlines(state: TenantState) -> dict[Deadline, datetime]:
    """Each deadline that ``state`` has; all of them are in events, so a takeover changes none."""
    due: dict[Deadline, datetime] = {}
    if state.pause is not None and state.pause.until is not None:
        due[Deadline.PAUSE] = state.pause.until
    if state.retry_at is not None:
        due[Deadline.CONNECT_LIMIT] = state.retry_at
    if state.lifecycle is Lifecycle.READY:
        known = (
            (Deadline.DATABASE_RECOVERY, state.recovery_until),
            (Deadline.REPLICATION_ATTEMPT, state.next_attempt_at),
            (Deadline.REPLICATION_RECOVERY, state.replication_until),
            (Deadline.IDLE_SHUTDOWN, state.shutdown_at),
        )
        due.update({deadline: at for deadline, at in known if at is not None})
    return due
