"""Deciding: (state, command, now) → what happened, a refusal, or nothing.

One command gives at most one event, and one event is one record, so a transition is atomic. Nothing here
reads a clock, waits, or knows of Kafka; what the surroundings say comes in as `Terms`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from statemachine.commands import (
    CheckHealth,
    CheckPassed,
    Command,
    Connect,
    ConnectionClosed,
    ConnectionLost,
    ConnectionRestored,
    Deadline,
    DeadlineReached,
    EffectFailed,
    PauseTenant,
    ProvisionDone,
    ReconnectWanted,
    Reload,
    Report,
    ResumeTenant,
    Retry,
    Shutdown,
    Status,
)
from statemachine.errors import TenantDatabaseUnavailable, TenantNotFound, TenantPaused
from statemachine.events import (
    ConnectChecked,
    ConnectPaused,
    ConnectProvisioned,
    ConnectRequested,
    ConnectResumed,
    ConnectStopped,
    ConnectStopping,
    DatabaseLost,
    DatabaseRestored,
    TenantEventData,
)
from statemachine.limits import DATABASE_RECOVERY_WINDOW
from statemachine.machines import LIVE, DatabaseHealth, Lifecycle
from statemachine.rejections import Rejection
from statemachine.state import Pause, Stop, StopReason, TenantState


class Terms(NamedTuple):
    """What the surroundings say at the moment of a decision.

    Attributes:
        platform_region: region of the tenant's catalog entry, None where it has none.
        serving_region: region whose workers serve it.
        database_recovery_window: how long a lost database may stay away.
    """

    platform_region: str | None = None
    serving_region: str | None = None
    database_recovery_window: timedelta = DATABASE_RECOVERY_WINDOW


Decision = TenantEventData | Rejection | None
"""What happened, why it was refused, or None where nothing changes."""

_DEFAULT_TERMS: Final = Terms()


def decide(state: TenantState, command: Command | Report, now: datetime, terms: Terms = _DEFAULT_TERMS) -> Decision:
    """Decide one command or report; ``now`` is an aware time in UTC."""
    return _DECISIONS[type(command)](state, command, now, terms)


def _connect(state: TenantState, command: Connect, _now: datetime, terms: Terms) -> Decision:
    if state.pause is not None:
        return Rejection(TenantPaused, paused_message(state.pause), state.pause.until)
    return _request(state, terms, command.requested_by)


def _request(state: TenantState, terms: Terms, requested_by: str | None) -> Decision:
    if state.lifecycle is Lifecycle.ABSENT:
        return ConnectRequested(terms.platform_region, terms.serving_region, requested_by)
    if state.lifecycle is Lifecycle.STOPPING and not state.reconnect:
        return _stopping(state.stop or Stop(StopReason.REQUESTED, None, ""), reconnect=True)
    return None


def _stopping(stop: Stop, *, reconnect: bool = False) -> ConnectStopping:
    return ConnectStopping(stop.reason, stop.code, stop.message, reconnect)


def _nothing(_state: TenantState, _command: object, _now: datetime, _terms: Terms) -> Decision:
    return None


def _check_health(state: TenantState, _command: CheckHealth, _now: datetime, terms: Terms) -> Decision:
    if terms.platform_region is None:
        return Rejection(TenantNotFound, TenantNotFound.meaning)
    if state.database is DatabaseHealth.RECOVERING:
        message = "a connection to the database was lost and is not back yet"
        return Rejection(TenantDatabaseUnavailable, message, state.recovery_until)
    return None


def _shutdown(state: TenantState, command: Shutdown, _now: datetime, _terms: Terms) -> Decision:
    if state.lifecycle in LIVE or (state.lifecycle is Lifecycle.STOPPING and state.reconnect):
        return _stopping(Stop(command.reason, None, "a shutdown was requested"))
    if state.lifecycle is Lifecycle.ABSENT and state.reconnect:
        return ConnectStopped(command.reason, None, "a shutdown was requested")
    return None


def _reload(state: TenantState, _command: Reload, _now: datetime, terms: Terms) -> Decision:
    if state.pause is not None:
        return Rejection(TenantPaused, paused_message(state.pause), state.pause.until)
    if state.lifecycle in LIVE:
        return _stopping(Stop(StopReason.REQUESTED, None, "a reload was requested"), reconnect=True)
    return _request(state, terms, None)


def _pause(_state: TenantState, command: PauseTenant, _now: datetime, _terms: Terms) -> Decision:
    return ConnectPaused(command.reason, command.author, command.until)


def _resume(state: TenantState, command: ResumeTenant, _now: datetime, _terms: Terms) -> Decision:
    return ConnectResumed(command.reason, command.author) if state.pause is not None else None


def _check_passed(state: TenantState, report: CheckPassed, _now: datetime, _terms: Terms) -> Decision:
    if state.lifecycle is not Lifecycle.CHECKING:
        return None
    return ConnectChecked(report.available, report.required, report.migrations_on_database, report.took_ms)


def _provision_done(state: TenantState, report: ProvisionDone, _now: datetime, _terms: Terms) -> Decision:
    if state.lifecycle is not Lifecycle.PROVISIONING:
        return None
    return ConnectProvisioned(report.migrations_run, report.partitions, report.took_ms)


def _effect_failed(state: TenantState, report: EffectFailed, _now: datetime, _terms: Terms) -> Decision:
    if state.lifecycle in (Lifecycle.CHECKING, Lifecycle.PROVISIONING):
        return ConnectStopped(report.reason, report.code, report.message)
    if state.lifecycle is Lifecycle.READY:
        return _stopping(Stop(report.reason, report.code, report.message))
    return None


def _connection_closed(state: TenantState, _report: ConnectionClosed, _now: datetime, _terms: Terms) -> Decision:
    if state.lifecycle is not Lifecycle.STOPPING or state.stop is None:
        return None
    return ConnectStopped(*state.stop)


def _connection_lost(state: TenantState, report: ConnectionLost, now: datetime, terms: Terms) -> Decision:
    if state.lifecycle is not Lifecycle.READY or state.database is not DatabaseHealth.UP:
        return None
    return DatabaseLost(now + terms.database_recovery_window, report.code, report.message)


def _connection_restored(state: TenantState, _report: ConnectionRestored, _now: datetime, _terms: Terms) -> Decision:
    if state.lifecycle is not Lifecycle.READY or state.database is not DatabaseHealth.RECOVERING:
        return None
    return DatabaseRestored()


def _reconnect_wanted(state: TenantState, _report: ReconnectWanted, _now: datetime, terms: Terms) -> Decision:
    if state.lifecycle is not Lifecycle.ABSENT or not state.reconnect:
        return None
    return ConnectRequested(terms.platform_region, terms.serving_region, "reload")


def _deadline_reached(state: TenantState, report: DeadlineReached, now: datetime, _terms: Terms) -> Decision:
    due = deadlines(state).get(report.deadline)
    if due is None or due > now:
        return None
    if report.deadline is Deadline.PAUSE:
        return ConnectResumed("the pause ran out", "timer")
    return _stopping(
        Stop(
            StopReason.DATABASE_RECOVERY_WINDOW_EXCEEDED,
            "DatabaseConnectionRecoveryWindowExceeded",
            "the database did not come back within its recovery window",
        )
    )


def deadlines(state: TenantState) -> dict[Deadline, datetime]:
    """The moments at which the owner must decide again, derived from the state."""
    due: dict[Deadline, datetime] = {}
    if state.pause is not None and state.pause.until is not None:
        due[Deadline.PAUSE] = state.pause.until
    if state.recovery_until is not None and state.lifecycle is Lifecycle.READY:
        due[Deadline.DATABASE_RECOVERY] = state.recovery_until
    return due


def paused_message(pause: Pause) -> str:
    """Who paused a tenant and why, for the one who is refused."""
    author = pause.author or "an operator"
    reason = f": {pause.reason}" if pause.reason else ""
    return f"paused by {author}{reason}"


_DECISIONS: Final[dict[type, Callable[[TenantState, Any, datetime, Terms], Decision]]] = {
    Connect: _connect,
    Status: _nothing,
    CheckHealth: _check_health,
    Retry: _nothing,
    Shutdown: _shutdown,
    Reload: _reload,
    PauseTenant: _pause,
    ResumeTenant: _resume,
    CheckPassed: _check_passed,
    ProvisionDone: _provision_done,
    EffectFailed: _effect_failed,
    ConnectionClosed: _connection_closed,
    ConnectionLost: _connection_lost,
    ConnectionRestored: _connection_restored,
    ReconnectWanted: _reconnect_wanted,
    DeadlineReached: _deadline_reached,
}
