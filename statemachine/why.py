"""Why a tenant is where it is, in words and codes: what holds it, since when, and what comes next."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from statemachine.decide import paused_message
from statemachine.machines import DatabaseHealth, Lifecycle, Occupancy, Replication
from statemachine.state import EventName, StopReason, TenantState


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


Explanation = tuple[str, str, str, datetime | None]
"""Code, what, next, and when."""


def why(state: TenantState) -> Why:
    """Explain ``state``."""
    code, what, following, at = _explain(state)
    return Why(code, what, _since(state, code), following, at)


def _since(state: TenantState, code: str) -> EventName | None:
    field = _SINCE.get((state.lifecycle, code))
    return state.since_event if field is None else getattr(state, field)


_SINCE: Final = {
    (Lifecycle.ABSENT, "paused"): "pause_event",
    (Lifecycle.ABSENT, "connect_rate_limit_reached"): "limit_event",
    (Lifecycle.READY, "recovering"): "recovery_event",
    (Lifecycle.READY, "replication_waiting"): "replication_event",
    (Lifecycle.READY, "idle"): "occupancy_event",
    (Lifecycle.READY, "partitions_failed"): "partitions_event",
}
"""Codes whose event is another than the one that moved the lifecycle last, and the field that names it. A tenant that
was stopped because it was idle has the code of one that is idle, and another event."""


def _explain(state: TenantState) -> Explanation:
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


def _explain_ready(state: TenantState) -> Explanation:
    if state.database is DatabaseHealth.RECOVERING:
        following = "the connection is opened again; if that fails until then, the tenant is stopped"
        return "recovering", "a connection to the database was lost", following, state.recovery_until
    if state.replication is Replication.WAITING:
        following = f"streaming is tried again; if that fails until {_said(state.replication_until)}, the tenant stops"
        return "replication_waiting", "rows are not streamed", following, state.next_attempt_at
    if state.occupancy is Occupancy.IDLE:
        return "idle", "nobody uses the tenant", "it is stopped unless somebody comes", state.shutdown_at
    if state.partitions_failed:
        what = f"partitions could not be made for {', '.join(state.partitions_failed)}"
        return "partitions_failed", what, "they are tried again", None
    if state.replication is Replication.STARTING:
        return "starting", "the database is connected, and streaming is being started", "rows are streamed", None
    streamed = " and its rows are streamed" if state.replication is Replication.STREAMING else ""
    return "ready", f"the database is connected, migrated and partitioned{streamed}", "nothing is due", None


def _explain_absent(state: TenantState) -> Explanation:
    if state.pause is not None:
        following = "it resumes by itself" if state.pause.until else "send `resume` to lift the pause"
        return "paused", paused_message(state.pause), following, state.pause.until
    if state.retry_at is not None:
        what = f"connecting failed too often, last with {_stop(state)}"
        following = "it may be tried again then; send `retry` to lift the wait"
        return "connect_rate_limit_reached", what, following, state.retry_at
    if state.reconnect:
        return "reconnecting", "stopped to be connected again", "checking", None
    if state.stop is None:
        return "never_connected", "nobody has asked for a connection yet", "send `connect`", None
    if state.stop.reason is StopReason.PAUSED:
        return "resumed", "the pause was lifted and nobody has asked for a connection since", "send `connect`", None
    return state.stop.reason.value, _stop(state), "send `connect` to try again", None


def _said(moment: datetime | None) -> str:
    return "then" if moment is None else moment.isoformat(timespec="seconds")


def _stop(state: TenantState) -> str:
    if state.stop is None:
        return "no reason is known"
    code = f" ({state.stop.code})" if state.stop.code else ""
    message = f": {state.stop.message}" if state.stop.message else ""
    return f"{state.stop.reason.value}{code}{message}"


def _after_stop(state: TenantState) -> str:
    return "it is connected again" if state.reconnect else "absent"
