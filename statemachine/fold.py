"""Folding: (state, event) → state. What a state is, is what its events made it, in any number of pieces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from statemachine.errors import IllegalEvent
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
    Event,
)
from statemachine.limits import COMMAND_IDS_KEPT_MAX
from statemachine.machines import Lifecycle
from statemachine.state import EventName, Pause, Stop, StopReason, TenantState
from statemachine.table import moves

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
            f"{state.lifecycle.value}, database {state.database.value}"
        )
    changes = _CHANGES[type(event.data)](state, event.data)
    changes.update(moved, sequence=event.sequence, hash=event.hash)
    if moved.get("lifecycle", state.lifecycle) is not state.lifecycle:
        changes["since"] = event.time
        changes["since_event"] = EventName(event.sequence, event.claim)
    if event.command_offset is not None:
        changes["command_ids"] = (*state.command_ids, event.causation)[-COMMAND_IDS_KEPT_MAX:]
    if event.data.type in _REMEMBERED:
        changes[_REMEMBERED[event.data.type]] = EventName(event.sequence, event.claim)
    return _changed(state, changes)


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


def _requested(_state: TenantState, data: ConnectRequested) -> dict[str, Any]:
    return {
        "platform_region": data.platform_region,
        "serving_region": data.serving_region,
        "stop": None,
        "reconnect": False,
    }


def _checked(_state: TenantState, data: ConnectChecked) -> dict[str, Any]:
    return {"migrations": data.migrations_on_database}


def _provisioned(state: TenantState, data: ConnectProvisioned) -> dict[str, Any]:
    return {"migrations": (state.migrations or 0) + data.migrations_run}


def _stopping(_state: TenantState, data: ConnectStopping) -> dict[str, Any]:
    return {"stop": Stop(data.reason, data.code, data.message), "reconnect": data.reconnect}


def _stopped(state: TenantState, data: ConnectStopped) -> dict[str, Any]:
    return {
        "stop": Stop(data.reason, data.code, data.message),
        "recovery_until": None,
        "reconnect": state.reconnect and state.lifecycle is not Lifecycle.ABSENT,
    }


def _paused(state: TenantState, data: ConnectPaused) -> dict[str, Any]:
    changes: dict[str, Any] = {"pause": Pause(data.reason, data.author, data.until)}
    if state.lifecycle is not Lifecycle.ABSENT:
        changes["stop"] = Stop(StopReason.PAUSED, None, data.reason)
    changes["reconnect"] = False
    return changes


def _resumed(_state: TenantState, _data: ConnectResumed) -> dict[str, Any]:
    return {"pause": None}


def _lost(_state: TenantState, data: DatabaseLost) -> dict[str, Any]:
    return {"recovery_until": data.recovery_until}


def _restored(_state: TenantState, _data: DatabaseRestored) -> dict[str, Any]:
    return {"recovery_until": None}


_REMEMBERED: Final = {ConnectPaused.type: "pause_event", DatabaseLost.type: "recovery_event"}
"""Events that explain a state later on, and where they are remembered."""

_CHANGES: Final[dict[type, Callable[[TenantState, Any], dict[str, Any]]]] = {
    ConnectRequested: _requested,
    ConnectChecked: _checked,
    ConnectProvisioned: _provisioned,
    ConnectStopping: _stopping,
    ConnectStopped: _stopped,
    ConnectPaused: _paused,
    ConnectResumed: _resumed,
    DatabaseLost: _lost,
    DatabaseRestored: _restored,
}
