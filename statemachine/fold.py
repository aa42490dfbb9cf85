"""Folding: (state, event) → state. What a state is, is what its events made it, in any number of pieces."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from statemachine.connect_limit import counts
from statemachine.errors import IllegalEvent
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
    Event,
    LimitCleared,
    LimitReached,
    MigrationsFinished,
    OccupancyIdle,
    OccupancyUsed,
    PartitionsFailed,
    PartitionsRestored,
    ReplicationGap,
    ReplicationLost,
    ReplicationPostponed,
    ReplicationStarted,
)
from statemachine.limits import (
    COMMAND_IDS_KEPT_FOR,
    COMMAND_IDS_KEPT_LONG,
    COMMAND_IDS_KEPT_MAX,
    CONNECT_FAILURES_KEPT_MAX,
    PARTITION_DAYS_KEPT_MAX,
)
from statemachine.machines import Lifecycle, Replication
from statemachine.state import (
    EventName,
    Failure,
    Pause,
    ReplicationMode,
    Stop,
    StopReason,
    StreamStart,
    TenantState,
)
from statemachine.table import moves

Changes = dict[str, Any]

_INDEX: Final = {name: index for index, name in enumerate(TenantState._fields)}


def fold(state: TenantState, event: Event) -> TenantState:
    """The state after ``event``.

    Raises:
        IllegalEvent: the event is another tenant's, leaves a gap in the sequence, breaks the hash chain,
            or is not permitted by the machines. The state is as before.
    """
    _check_place(state, event)
    moved = moves(state, event.data.type)
    if moved is None:
        raise IllegalEvent(
            f"{event.data.type} of tenant {event.tenant!r}, sequence {event.sequence}, is not permitted while it is "
            f"{state.lifecycle.value}, database {state.database.value}, replication {state.replication.value}, "
            f"occupancy {state.occupancy.value}"
        )
    changes = _CHANGES[type(event.data)](state, event, event.data)
    changes.update(moved, sequence=event.sequence, hash=event.hash)
    if moved.get("lifecycle", state.lifecycle) is not state.lifecycle:
        changes["since"] = event.time
        changes["since_event"] = EventName(event.sequence, event.claim)
    if event.command_offset is not None:
        changes["command_ids"] = (*_still_known(state, event.time), event.causation)
        changes["commanded_at"] = event.time
    if event.data.type in _REMEMBERED:
        changes[_REMEMBERED[event.data.type]] = EventName(event.sequence, event.claim)
    return _changed(state, changes)


def _still_known(state: TenantState, now: datetime) -> tuple[str, ...]:
    """Ids of commands whose copies may still come, with room for one more."""
    known = state.command_ids
    if len(known) < COMMAND_IDS_KEPT_LONG:
        return known
    is_quiet = state.commanded_at is not None and now - state.commanded_at > COMMAND_IDS_KEPT_FOR
    return known[1 - (COMMAND_IDS_KEPT_LONG if is_quiet else COMMAND_IDS_KEPT_MAX) :]


def _changed(state: TenantState, changes: dict[str, Any]) -> TenantState:
    """The state with some fields changed: `_replace` in half the time."""
    values: list[Any] = list(state)
    for name, value in changes.items():
        values[_INDEX[name]] = value
    return TenantState._make(values)


def _check_place(state: TenantState, event: Event) -> None:
    if event.tenant != state.tenant:
        raise IllegalEvent(f"an event of tenant {event.tenant!r} among those of {state.tenant!r}")
    if event.sequence != state.sequence + 1:
        raise IllegalEvent(f"sequence {event.sequence} of tenant {event.tenant!r} where {state.sequence + 1} is due")
    if event.previous_hash != state.hash:
        raise IllegalEvent(f"the hash chain of tenant {event.tenant!r} is broken before sequence {event.sequence}")


def _requested(_state: TenantState, _event: Event, data: ConnectRequested) -> Changes:
    return {
        "platform_region": data.platform_region,
        "serving_region": data.serving_region,
        "stop": None,
        "reconnect": False,
    }


def _checked(state: TenantState, _event: Event, data: ConnectChecked) -> Changes:
    return {
        "migrations": data.migrations_on_database,
        "mode": data.replication,
        "settings": data.settings,
        "promised_since": state.promised_since if data.replication is ReplicationMode.DURABLE else None,
    }


def _provisioned(state: TenantState, event: Event, data: ConnectProvisioned) -> Changes:
    # Who is told that the tenant is ready writes rows, and its stream may start much later.
    begins = state.mode is ReplicationMode.DURABLE and state.stream is None and state.promised_since is None
    return {
        "promised_since": event.time if begins else state.promised_since,
        "migrations": (state.migrations or 0) + data.migrations_run,
        "failures": (),
        "partitions_failed": tuple(day for day in state.partitions_failed if day not in data.partitions),
    }


def _stopping(_state: TenantState, _event: Event, data: ConnectStopping) -> Changes:
    return {"stop": Stop(data.reason, data.code, data.message), "reconnect": data.reconnect}


def _stopped(state: TenantState, event: Event, data: ConnectStopped) -> Changes:
    changes: Changes = {
        **_WINDOWS_CLOSED,
        "stop": Stop(data.reason, data.code, data.message),
        "reconnect": state.reconnect and state.lifecycle is not Lifecycle.ABSENT,
    }
    if state.lifecycle in _CONNECTING and counts(data.reason, data.code):
        changes["failures"] = (*state.failures, event.time)[-CONNECT_FAILURES_KEPT_MAX:]
    if data.reason in GONE:
        changes.update(stream=None, promised_since=None)
    return changes


def _paused(state: TenantState, _event: Event, data: ConnectPaused) -> Changes:
    changes: Changes = {"pause": Pause(data.reason, data.author, data.until), "reconnect": False}
    if state.lifecycle is not Lifecycle.ABSENT:
        changes["stop"] = Stop(StopReason.PAUSED, None, data.reason)
    return changes


def _resumed(_state: TenantState, _event: Event, _data: ConnectResumed) -> Changes:
    return {"pause": None}


def _retried(state: TenantState, event: Event, _data: ConnectRetried) -> Changes:
    waits = state.replication is Replication.WAITING
    return {"retried_at": event.time, "next_attempt_at": event.time if waits else None}


def _lost(_state: TenantState, _event: Event, data: DatabaseLost) -> Changes:
    return {"recovery_until": data.recovery_until, "database_failure": Failure(data.code, data.message)}


def _restored(_state: TenantState, _event: Event, _data: DatabaseRestored) -> Changes:
    return {"recovery_until": None, "database_failure": None}


def _started(_state: TenantState, event: Event, _data: ReplicationStarted) -> Changes:
    return {
        "next_attempt_at": None,
        "replication_until": None,
        "replication_delay": None,
        "replication_failure": None,
        "stream": StreamStart(event.time, event.claim),
        "promised_since": None,
    }


def _not_streamed(_state: TenantState, event: Event, data: ReplicationLost | ReplicationPostponed) -> Changes:
    return {
        "next_attempt_at": data.next_attempt_at,
        "replication_until": data.recovery_until,
        "replication_delay": data.next_attempt_at - event.time,
        "replication_failure": Failure(data.code, data.message, _blocker(data)),
    }


def _blocker(data: ReplicationLost | ReplicationPostponed) -> str | None:
    return data.blocked_by if isinstance(data, ReplicationPostponed) else None


def _used(_state: TenantState, event: Event, data: OccupancyUsed) -> Changes:
    return {"users": data.users, "occupancy_since": event.time, "shutdown_at": None}


def _idle(_state: TenantState, event: Event, data: OccupancyIdle) -> Changes:
    return {"users": 0, "occupancy_since": event.time, "shutdown_at": data.shutdown_at}


def _partitions_failed(state: TenantState, _event: Event, data: PartitionsFailed) -> Changes:
    return {"partitions_failed": tuple(sorted({*state.partitions_failed, data.day}))[-PARTITION_DAYS_KEPT_MAX:]}


def _partitions_restored(state: TenantState, _event: Event, data: PartitionsRestored) -> Changes:
    return {"partitions_failed": tuple(day for day in state.partitions_failed if day != data.day)}


def _limited(_state: TenantState, _event: Event, data: LimitReached) -> Changes:
    return {"retry_at": data.retry_at}


def _cleared(_state: TenantState, _event: Event, _data: LimitCleared) -> Changes:
    return {"retry_at": None, "failures": ()}


def _migrated(_state: TenantState, _event: Event, data: MigrationsFinished) -> Changes:
    return {"migrations": data.migrations_on_database}


def _nothing(_state: TenantState, _event: Event, _data: object) -> Changes:
    return {}


_CONNECTING: Final = (Lifecycle.CHECKING, Lifecycle.PROVISIONING)

GONE: Final = (StopReason.REMOVED, StopReason.TENANT_NOT_FOUND)
"""Reasons of a stop after which nothing is promised any more: whoever is put into the catalog again begins afresh."""

_WINDOWS_CLOSED: Final[Changes] = {
    "recovery_until": None,
    "database_failure": None,
    "next_attempt_at": None,
    "replication_until": None,
    "replication_delay": None,
    "replication_failure": None,
    "users": 0,
    "occupancy_since": None,
    "shutdown_at": None,
}
"""What a tenant without a connection has no more."""

_REMEMBERED: Final = {
    ConnectPaused.type: "pause_event",
    DatabaseLost.type: "recovery_event",
    ReplicationLost.type: "replication_event",
    ReplicationPostponed.type: "replication_event",
    ReplicationGap.type: "gap_event",
    OccupancyUsed.type: "occupancy_event",
    OccupancyIdle.type: "occupancy_event",
    PartitionsFailed.type: "partitions_event",
    LimitReached.type: "limit_event",
}
"""Events that explain a state later on, and where they are remembered."""

_CHANGES: Final[dict[type, Callable[[TenantState, Event, Any], Changes]]] = {
    ConnectRequested: _requested,
    ConnectChecked: _checked,
    ConnectProvisioned: _provisioned,
    ConnectStopping: _stopping,
    ConnectStopped: _stopped,
    ConnectPaused: _paused,
    ConnectResumed: _resumed,
    ConnectRetried: _retried,
    DatabaseLost: _lost,
    DatabaseRestored: _restored,
    ReplicationStarted: _started,
    ReplicationLost: _not_streamed,
    ReplicationPostponed: _not_streamed,
    ReplicationGap: _nothing,
    OccupancyUsed: _used,
    OccupancyIdle: _idle,
    PartitionsFailed: _partitions_failed,
    PartitionsRestored: _partitions_restored,
    LimitReached: _limited,
    LimitCleared: _cleared,
    MigrationsFinished: _migrated,
}
