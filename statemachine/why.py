"""Why a tenant is where it is, in words and codes: what holds it, since when, and what comes next."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from statemachine.decide import paused_message
from statemachine.machines import DatabaseHealth, Lifecycle
from statemachine.state import EventName, StopReason, TenantState

_PAUSED: Final = "paused"
_RECOVERING: Final = "recovering"


class Why(NamedTuple):
    """The explanation of a state.

    Attributes:
        code: stable name of what holds the tenant.
        what: the same in words.
        since: the event since which it is so, None before the first.
        next: what happens next, in words.
        at: when, where the state says so.
    """

    code: str
    what: str
    since: EventName | None
    next: str
    at: datetime | None


def why(state: TenantState) -> Why:
    """Explain ``state``."""
    code, what, following, at = _explain(state)
    since = {_PAUSED: state.pause_event, _RECOVERING: state.recovery_event}.get(code, state.since_event)
    return Why(code, what, since, following, at)


def _explain(state: TenantState) -> tuple[str, str, str, datetime | None]:
    match state.lifecycle:
        case Lifecycle.CHECKING:
            return "checking", "the database is being checked for an answer and for room", "provisioning", None
        case Lifecycle.PROVISIONING:
            return "provisioning", "migrations and partitions are being brought up to date", "ready", None
        case Lifecycle.STOPPING:
            return "stopping", f"connections are being closed: {_stop(state)}", _after_stop(state), None
        case Lifecycle.READY:
            return _explain_ready(state)
        case Lifecycle.ABSENT:
            return _explain_absent(state)


def _explain_ready(state: TenantState) -> tuple[str, str, str, datetime | None]:
    if state.database is DatabaseHealth.RECOVERING:
        following = "the connection is opened again; if that fails until then, the tenant is stopped"
        return _RECOVERING, "a connection to the database was lost", following, state.recovery_until
    return "ready", "the database is connected, migrated and partitioned", "nothing is due", None


def _explain_absent(state: TenantState) -> tuple[str, str, str, datetime | None]:
    if state.pause is not None:
        following = "it resumes by itself" if state.pause.until else "send `resume` to lift the pause"
        return _PAUSED, paused_message(state.pause), following, state.pause.until
    if state.reconnect:
        return "reconnecting", "stopped to be connected again", "checking", None
    if state.stop is None:
        return "never_connected", "nobody has asked for a connection yet", "send `connect`", None
    if state.stop.reason is StopReason.PAUSED:
        return "resumed", "the pause was lifted and nobody has asked for a connection since", "send `connect`", None
    return state.stop.reason.value, _stop(state), "send `connect` to try again", None


def _stop(state: TenantState) -> str:
    if state.stop is None:
        return "no reason is known"
    code = f" ({state.stop.code})" if state.stop.code else ""
    message = f": {state.stop.message}" if state.stop.message else ""
    return f"{state.stop.reason.value}{code}{message}"


def _after_stop(state: TenantState) -> str:
    return "it is connected again" if state.reconnect else "absent"
