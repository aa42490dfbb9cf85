"""Why a tenant is where it is, in words and codes: what holds it, since when, and what comes next."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final, NamedTuple

from statemachine.decide import paused_message
from statemachine.machines import DatabaseHealth, Lifecycle, Occupancy, Replication
from statemachine.state import EventName, Failure, StopReason, TenantState


class Why(NamedTuple):
    """The explanation of a state.

    Attributes:
        code: stable name of what holds the tenant.
        what: the same in words; where something failed, with the operational code of what failed last.
        since: the event since which it is so, None before the first.
        next: what happens next, in words.
        at: when that happens, where the state says so.
    """

    code: str
    what: str
    since: EventName | None
    next: str
    at: datetime | None


Explanation = tuple[str, str, str, datetime | None]
"""Code, what, next, and when."""

CODES: Final = (
    "checking",
    "provisioning",
    "ready",
    "starting",
    "replication_waiting",
    "recovering",
    "partitions_failed",
    "idle",
    "stopping",
    "never_connected",
    "reconnecting",
    "paused",
    "resumed",
    "connect_rate_limit_reached",
)
"""Every code but those of tenants that have stopped, which have the reason of their stop."""

SLOT_AWAITED: Final = (
    "rows are streamed once its slot is made, which waits for every transaction that is open and writes"
)


def why(state: TenantState, users: int | None = None, unwanted: StopReason | None = None) -> Why:
    """Explain ``state``.

    Args:
        state: the tenant's.
        users: how many use it now, None where that is not known: a tenant that is used is connected by itself.
        unwanted: why the catalog does not want it connected now, None where it does, or where that is not known.
    """
    code, what, following, at = _explain(state, users or 0, unwanted)
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


def _explain(state: TenantState, users: int, unwanted: StopReason | None) -> Explanation:
    match state.lifecycle:
        case Lifecycle.CHECKING:
            what = "the database is being checked for an answer and for room; where many are, it waits its turn"
            return "checking", what, "provisioning", None
        case Lifecycle.PROVISIONING:
            return "provisioning", "migrations and partitions are being brought up to date", "ready", None
        case Lifecycle.STOPPING:
            return "stopping", f"connections are being closed: {_stop(state)}", _after_stop(state), None
        case Lifecycle.READY:
            return _explain_ready(state)
        case Lifecycle.ABSENT:
            return _explain_absent(state, users, unwanted)


def _explain_ready(state: TenantState) -> Explanation:
    if state.database is DatabaseHealth.RECOVERING:
        what = f"the connection to the database was lost and is not back{_failed(state.database_failure)}"
        following = "the tenant is stopped, unless the connection is back; that is tried again and again"
        return "recovering", what, following, state.recovery_until
    if state.replication is Replication.WAITING:
        what = f"rows are not streamed{_failed(state.replication_failure)}"
        following = f"streaming is tried again; where it still fails at {_said(state.replication_until)}, it is stopped"
        return "replication_waiting", what, following, state.next_attempt_at
    starting = state.replication is Replication.STARTING
    if state.occupancy is Occupancy.IDLE:
        stream = "; its stream is being started" if starting else ""
        return "idle", f"nobody uses the tenant{stream}", "it is stopped unless somebody comes", state.shutdown_at
    if state.partitions_failed:
        what = f"partitions could not be made for {', '.join(state.partitions_failed)}"
        return "partitions_failed", what, "they are tried again", None
    if starting:
        return "starting", "the database is connected, and its stream is being started", SLOT_AWAITED, None
    streamed = " and its rows are streamed" if state.replication is Replication.STREAMING else ""
    return "ready", f"the database is connected, migrated and partitioned{streamed}", "nothing is due", None


def _explain_absent(state: TenantState, users: int, unwanted: StopReason | None) -> Explanation:
    if state.pause is not None:
        following = "it resumes by itself" if state.pause.until else "send `resume` to lift the pause"
        return "paused", paused_message(state.pause), following, state.pause.until
    if unwanted is not None and not _is_told(state, unwanted):
        return _explain_unwanted(state, unwanted)
    if state.retry_at is not None:
        what = f"connecting failed too often, last with {_stop(state)}"
        following = "connecting may be tried again; send `retry` to lift the wait at once"
        return "connect_rate_limit_reached", what, following, state.retry_at
    if state.reconnect:
        return "reconnecting", "stopped to be connected again", "checking", None
    return _explain_stopped(state, users)


def _explain_stopped(state: TenantState, users: int) -> Explanation:
    if state.stop is None:
        return "never_connected", "nobody has asked for a connection yet", _asked("send `connect`", users), None
    if state.stop.reason is StopReason.PAUSED:
        what = "the pause was lifted and nobody has asked for a connection since"
        return "resumed", what, _asked("send `connect`", users), None
    return state.stop.reason.value, _stop(state), _after(state.stop.reason, users), None


def _is_told(state: TenantState, unwanted: StopReason) -> bool:
    """Whether the last stop says already what the catalog says."""
    gone = (StopReason.REMOVED, StopReason.TENANT_NOT_FOUND)
    return state.stop is not None and (state.stop.reason is unwanted or {state.stop.reason, unwanted} <= set(gone))


def _explain_unwanted(state: TenantState, unwanted: StopReason) -> Explanation:
    """The catalog says something that no event says, since nobody asked for a connection meanwhile."""
    gone = unwanted is StopReason.REMOVED and state.stop is None
    code = StopReason.TENANT_NOT_FOUND if gone else unwanted
    before = f"; it was stopped before: {_stop(state)}" if state.stop else ""
    return code.value, f"{_UNWANTED.get(unwanted, unwanted.value)}{before}", _after(unwanted, 0), None


_UNWANTED: Final[Mapping[StopReason, str]] = MappingProxyType(
    {
        StopReason.SUSPENDED: "the tenant is suspended",
        StopReason.REMOVED: "the catalog has no such tenant",
        StopReason.REBALANCING: "another region serves the tenant now",
    }
)

_ENTRY_NEEDED: Final = "`tenants put` adds it to the catalog; then send `connect`"

_NOT_WANTED: Final[Mapping[StopReason, str]] = MappingProxyType(
    {
        StopReason.SUSPENDED: "`tenants resume` lifts the suspension; then send `connect`",
        StopReason.TENANT_NOT_FOUND: _ENTRY_NEEDED,
        StopReason.REMOVED: _ENTRY_NEEDED,
        StopReason.REBALANCING: "another region serves it, and connects it there once somebody asks",
    }
)
"""What comes after a stop that the catalog asked for: users alone bring nothing back."""

_MEND: Final = "mend what the message names, then send `connect`"

_MENDED: Final[Mapping[StopReason, str]] = MappingProxyType(
    {
        StopReason.TOO_MANY_CONNECTIONS: (
            "free connections, raise max_connections, or lower the pool sizes; then send `connect`"
        ),
        StopReason.DATABASE_UNAVAILABLE: _MEND,
        StopReason.POOLED_ENDPOINT: _MEND,
        StopReason.MIGRATIONS_FAILED: _MEND,
        StopReason.DATABASE_RECOVERY_WINDOW_EXCEEDED: _MEND,
        StopReason.REPLICATION_RECOVERY_WINDOW_EXCEEDED: _MEND,
    }
)
"""What helps after a stop that something caused which can be mended."""


def _after(reason: StopReason, users: int) -> str:
    return _NOT_WANTED.get(reason) or _asked(_MENDED.get(reason, "send `connect`"), users)


def _asked(what_to_do: str, users: int) -> str:
    """What the reader can do; where the tenant is used, it is connected without anybody's doing."""
    if users == 0:
        return what_to_do
    used = "1 user needs it" if users == 1 else f"{users} users need it"
    return f"{used}: it is connected by itself within `RECONNECT_INTERVAL_MS`; to have it sooner, {what_to_do}"


def _failed(failure: Failure | None) -> str:
    return "" if failure is None else f": {failure.said}"


def _said(moment: datetime | None) -> str:
    return "then" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"


def _stop(state: TenantState) -> str:
    if state.stop is None:
        return "no reason is known"
    code = f" ({state.stop.code})" if state.stop.code else ""
    message = f": {state.stop.message.rstrip('.')}" if state.stop.message else ""
    return f"{state.stop.reason.value}{code}{message}"


def _after_stop(state: TenantState) -> str:
    return "it is connected again" if state.reconnect else "absent"
