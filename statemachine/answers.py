"""What a command is answered with, derived from the state once its event, if any, is on the log."""

from __future__ import annotations

from enum import Enum
from typing import Final

from statemachine.commands import Command, Connect, Reload, Shutdown, Wait
from statemachine.connect_limit import limit_rejection
from statemachine.decide import Decision, paused_message
from statemachine.errors import TenantDatabaseUnavailable, TenantPaused
from statemachine.machines import Lifecycle, Replication
from statemachine.rejections import Rejection, rejection_of
from statemachine.state import TenantState

_STREAMED: Final = (Replication.STREAMING, Replication.OFF)
"""Nothing is left to wait for; where rows are not to be streamed at all, the status says so."""


class Answer(Enum):
    """An answer that carries no error."""

    OK = "ok"
    PENDING = "pending"


def answer(state: TenantState, command: Command) -> Answer | Rejection:
    """OK, a refusal, or PENDING: ask again when the state changes."""
    if isinstance(command, Connect):
        return _awaited(state, command.wait)
    if isinstance(command, Reload):
        return _connected(state)
    if isinstance(command, Shutdown):
        return Answer.PENDING if state.lifecycle is Lifecycle.STOPPING else Answer.OK
    return Answer.OK


def answer_again(state: TenantState, command: Command, decision: Decision) -> Rejection | None:
    """How a command is refused that was decided before, led to no event then, and is delivered again; None where not.

    It is not decided again. What is refused now was refused or is as good as refused; and who does not wait for a
    connection must not be told that one is under way where there is none.

    Args:
        state: the tenant's, now.
        command: what was asked.
        decision: what it would lead to now.
    """
    if decision is None or isinstance(decision, Rejection):
        return decision
    if isinstance(command, Connect) and command.wait is Wait.NO:
        reply = _connected(state)
        return reply if isinstance(reply, Rejection) else None
    return None


def _awaited(state: TenantState, wait: Wait) -> Answer | Rejection:
    if wait is Wait.NO and state.pause is None and state.retry_at is None:
        return Answer.OK
    reply = _connected(state)
    if reply is Answer.OK and wait is Wait.STREAMING and state.replication not in _STREAMED:
        return Answer.PENDING
    return reply


def _connected(state: TenantState) -> Answer | Rejection:
    if state.pause is not None:
        return Rejection(TenantPaused, paused_message(state.pause), state.pause.until)
    if state.lifecycle is Lifecycle.READY:
        return Answer.OK
    if state.retry_at is not None:
        return limit_rejection(state)
    if state.lifecycle is not Lifecycle.ABSENT or state.reconnect:
        return Answer.PENDING
    if state.stop is None:
        return Rejection(TenantDatabaseUnavailable, "the tenant is not connected")
    return rejection_of(state.stop)
