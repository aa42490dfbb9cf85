"""Deciding: (state, command, now) → what happened, a refusal, or nothing.

One command gives at most one event, and one event is one record, so a transition is atomic. Nothing here
reads a clock, waits, or knows of Kafka; what the surroundings say comes in as `Terms`. Replication, occupancy
and the limit on connect failures are decided next door.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

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
    FailuresWeighed,
    GapFound,
    MigrationsDone,
    PartitionFailed,
    PartitionMade,
    PauseTenant,
    ProvisionDone,
    ReconnectWanted,
    Reload,
    Report,
    ResumeTenant,
    Retry,
    SettingsChanged,
    Shutdown,
    Status,
    StreamFailed,
    StreamStarted,
    UsersCounted,
)
from statemachine.connect_limit import failures_weighed, limit_rejection
from statemachine.deadlines import deadlines
from statemachine.errors import InvalidCommand, TenantPaused
from statemachine.events import (
    ConnectChecked,
    ConnectPaused,
    ConnectProvisioned,
    ConnectRequested,
    ConnectResumed,
    ConnectRetried,
    ConnectStopped,
    ConnectStopping,
    DatabaseLost,
    DatabaseRestored,
    LimitCleared,
    MigrationsFinished,
    OccupancyUsed,
    PartitionsFailed,
    PartitionsRestored,
    TenantEventData,
)
from statemachine.machines import LIVE, DatabaseHealth, Lifecycle, Replication
from statemachine.occupancy import users_counted
from statemachine.rejections import Rejection
from statemachine.state import Failure, Pause, Stop, StopReason, TenantState
from statemachine.streaming import gap_found, stream_failed, stream_started
from statemachine.terms import Terms

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
        if state.retry_at is not None:
            return limit_rejection(state)
        return ConnectRequested(terms.platform_region, terms.serving_region, requested_by)
    if state.lifecycle is Lifecycle.STOPPING and not state.reconnect:
        return _stopping(state.stop or Stop(StopReason.REQUESTED, None, ""), reconnect=True)
    return None


def _stopping(stop: Stop, *, reconnect: bool = False) -> ConnectStopping:
    return ConnectStopping(stop.reason, stop.code, stop.message, reconnect)


def _nothing(_state: TenantState, _command: object, _now: datetime, _terms: Terms) -> Decision:
    return None


def _retry(state: TenantState, command: Retry, _now: datetime, _terms: Terms) -> Decision:
    if state.lifecycle is Lifecycle.ABSENT and state.retry_at is not None:
        return LimitCleared(command.reason, command.author)
    waits = state.database is DatabaseHealth.RECOVERING or state.replication is Replication.WAITING
    return ConnectRetried(command.reason, command.author) if state.lifecycle is Lifecycle.READY and waits else None


def _shutdown(state: TenantState, command: Shutdown, _now: datetime, _terms: Terms) -> Decision:
    code, message = _GIVEN_UP.get(command.reason, (None, "a shutdown was requested"))
    # What was promised to a tenant that is removed is forgotten where its stop says so, and not before.
    over = command.reason is StopReason.REMOVED and state.is_promised
    if state.lifecycle in LIVE:
        return _stopping(Stop(command.reason, code, message))
    if state.lifecycle is Lifecycle.STOPPING and (state.reconnect or (over and not _is_removed(state))):
        return _stopping(Stop(command.reason, code, message))
    if state.lifecycle is Lifecycle.ABSENT and (state.reconnect or over):
        return ConnectStopped(command.reason, code, message)
    return None


def _is_removed(state: TenantState) -> bool:
    return state.stop is not None and state.stop.reason is StopReason.REMOVED


def _reload(state: TenantState, _command: Reload, _now: datetime, terms: Terms) -> Decision:
    if state.pause is not None:
        return Rejection(TenantPaused, paused_message(state.pause), state.pause.until)
    if state.lifecycle in LIVE:
        return _stopping(Stop(StopReason.REQUESTED, None, "a reload was requested"), reconnect=True)
    return _request(state, terms, None)


def _pause(_state: TenantState, command: PauseTenant, now: datetime, _terms: Terms) -> Decision:
    if command.until is not None and command.until <= now:
        message = f"until: {command.until.isoformat()} has passed; give a time that is to come"
        return Rejection(InvalidCommand, message)
    return ConnectPaused(command.reason, command.author, command.until)


def _resume(state: TenantState, command: ResumeTenant, _now: datetime, _terms: Terms) -> Decision:
    return ConnectResumed(command.reason, command.author) if state.pause is not None else None


def _check_passed(state: TenantState, report: CheckPassed, _now: datetime, _terms: Terms) -> Decision:
    if state.lifecycle is not Lifecycle.CHECKING:
        return None
    return ConnectChecked(
        report.available,
        report.required,
        report.migrations_on_database,
        report.took_ms,
        report.replication,
        report.settings,
    )


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


def _connection_closed(state: TenantState, report: ConnectionClosed, _now: datetime, _terms: Terms) -> Decision:
    if state.lifecycle is not Lifecycle.STOPPING or state.stop is None:
        return None
    reason, code, message = state.stop
    return ConnectStopped(reason, code, message if report.doubt is None else f"{message}; {report.doubt}")


def _connection_lost(state: TenantState, report: ConnectionLost, now: datetime, terms: Terms) -> Decision:
    """Lost; while it recovers, only where something else stands in the way than the log says, in the same window."""
    if state.lifecycle is not Lifecycle.READY or state.database_failure == Failure(report.code, report.message):
        return None
    until = state.recovery_until or now + terms.database_recovery_window
    return DatabaseLost(until, report.code, report.message)


def _connection_restored(state: TenantState, _report: ConnectionRestored, _now: datetime, _terms: Terms) -> Decision:
    if state.lifecycle is not Lifecycle.READY or state.database is not DatabaseHealth.RECOVERING:
        return None
    return DatabaseRestored()


def _reconnect_wanted(state: TenantState, _report: ReconnectWanted, _now: datetime, terms: Terms) -> Decision:
    if state.lifecycle is not Lifecycle.ABSENT or not state.reconnect or state.retry_at is not None:
        return None
    return ConnectRequested(terms.platform_region, terms.serving_region, "reload")


def _settings_changed(state: TenantState, _report: SettingsChanged, _now: datetime, _terms: Terms) -> Decision:
    if state.lifecycle in LIVE:
        return _stopping(Stop(StopReason.REQUESTED, None, "the settings changed"), reconnect=True)
    if state.lifecycle is Lifecycle.ABSENT and state.retry_at is not None:
        return LimitCleared("the settings changed", "catalog")
    return None


def _migrations_done(state: TenantState, report: MigrationsDone, _now: datetime, _terms: Terms) -> Decision:
    if state.lifecycle is not Lifecycle.ABSENT:
        return None
    return MigrationsFinished(report.migrations_run, report.migrations_on_database, report.took_ms)


def _partition_failed(state: TenantState, report: PartitionFailed, _now: datetime, _terms: Terms) -> Decision:
    if not _kept(state) or report.day in state.partitions_failed:
        return None
    return PartitionsFailed(report.day, report.message)


def _partition_made(state: TenantState, report: PartitionMade, _now: datetime, _terms: Terms) -> Decision:
    if not _kept(state) or report.day not in state.partitions_failed:
        return None
    return PartitionsRestored(report.day)


def _kept(state: TenantState) -> bool:
    return state.lifecycle in (Lifecycle.ABSENT, Lifecycle.READY)


def _deadline_reached(state: TenantState, report: DeadlineReached, now: datetime, terms: Terms) -> Decision:
    due = deadlines(state).get(report.deadline)
    if due is None or due > now:
        return None
    match report.deadline:
        case Deadline.PAUSE:
            return ConnectResumed("the pause ran out", "timer")
        case Deadline.CONNECT_LIMIT:
            return LimitCleared("the wait is over", "timer")
        case Deadline.IDLE_SHUTDOWN:
            return _idle_over(terms)
        case Deadline.REPLICATION_ATTEMPT:
            return None
    return _stopping(_exceeded(state, report.deadline))


def _idle_over(terms: Terms) -> Decision:
    """Nobody came back; where it is not known whether somebody did, nothing is decided yet."""
    if terms.users is None:
        return None
    if terms.users > 0:
        return OccupancyUsed(terms.users)
    return _stopping(Stop(StopReason.IDLE, None, "nobody used the tenant"))


def _exceeded(state: TenantState, deadline: Deadline) -> Stop:
    """A recovery window has run out; what stood in the way last is said too."""
    reason, code, message = _EXCEEDED[deadline]
    last = state.database_failure if deadline is Deadline.DATABASE_RECOVERY else state.replication_failure
    return Stop(reason, code, message if last is None else f"{message}, last with {last.said}")


_EXCEEDED: Final = {
    Deadline.DATABASE_RECOVERY: Stop(
        StopReason.DATABASE_RECOVERY_WINDOW_EXCEEDED,
        "DatabaseConnectionRecoveryWindowExceeded",
        "the database did not come back within its recovery window",
    ),
    Deadline.REPLICATION_RECOVERY: Stop(
        StopReason.REPLICATION_RECOVERY_WINDOW_EXCEEDED,
        "ReplicationRecoveryWindowExceeded",
        "rows could not be streamed within the recovery window",
    ),
}
"""What a recovery window that has run out leads to."""


_GIVEN_UP: Final[dict[StopReason, tuple[str | None, str]]] = {
    StopReason.SUSPENDED: ("RealtimeDisabledForTenant", "the tenant is suspended"),
    StopReason.TENANT_NOT_FOUND: ("TenantNotFound", "the catalog has no such tenant"),
    StopReason.REMOVED: (None, "the tenant was removed from the catalog"),
    StopReason.REBALANCING: (None, "another region serves the tenant now"),
}
"""Code and message of a shutdown that the catalog asks for."""


def paused_message(pause: Pause) -> str:
    """Who paused a tenant and why, for the one who is refused."""
    author = pause.author or "an operator"
    reason = f": {pause.reason}" if pause.reason else ""
    return f"paused by {author}{reason}"


_DECISIONS: Final[dict[type, Callable[[TenantState, Any, datetime, Terms], Decision]]] = {
    Connect: _connect,
    Status: _nothing,
    CheckHealth: _nothing,
    Retry: _retry,
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
    FailuresWeighed: failures_weighed,
    SettingsChanged: _settings_changed,
    MigrationsDone: _migrations_done,
    StreamStarted: stream_started,
    StreamFailed: stream_failed,
    GapFound: gap_found,
    UsersCounted: users_counted,
    PartitionFailed: _partition_failed,
    PartitionMade: _partition_made,
    DeadlineReached: _deadline_reached,
}
