"""The machines compiled into one dictionary, for the hot path.

A dictionary look-up costs a hundredth of `Machine.trigger` and no memory per tenant. A test walks every
state and trigger, the illegal ones included, and shows that table and machines agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from transitions import Machine

from statemachine.machines import MACHINES
from statemachine.state import TenantState


class Step(NamedTuple):
    """Where a trigger leads from one state of one machine, and which guards must hold."""

    destination: str
    guards: tuple[str, ...]


class Column(NamedTuple):
    """What one trigger does to one machine: the machine's name and the step from each source."""

    machine: str
    steps: Mapping[str, Step]


def not_paused(state: TenantState) -> bool:
    """No operator has paused the tenant."""
    return state.pause is None


def paused(state: TenantState) -> bool:
    """An operator has paused the tenant."""
    return state.pause is not None


def reconnecting(state: TenantState) -> bool:
    """A connection is wanted again."""
    return state.reconnect


GUARDS: Final[Mapping[str, Callable[[TenantState], bool]]] = {
    "not_paused": not_paused,
    "paused": paused,
    "reconnecting": reconnecting,
}
"""The guards that the machines name."""


def rows(machine: Machine, trigger: str) -> Iterator[tuple[str, Step]]:
    """Each source of ``trigger`` in ``machine``, with the step it takes from there."""
    for row in machine.get_transitions(trigger=trigger):
        yield row.source, Step(str(row.dest), tuple(str(condition.func) for condition in row.conditions))


def _compile(machines: Mapping[str, Machine]) -> dict[str, tuple[Column, ...]]:
    triggers = {trigger for machine in machines.values() for trigger in machine.events}
    return {
        trigger: tuple(
            Column(name, dict(rows(machine, trigger)))
            for name, machine in machines.items()
            if trigger in machine.events
        )
        for trigger in triggers
    }


TABLE: Final[Mapping[str, tuple[Column, ...]]] = _compile(MACHINES)
"""Event type → what it does to each machine that names it."""


def moves(state: TenantState, trigger: str) -> dict[str, str] | None:
    """The machines' states after ``trigger``, or None where the trigger is not permitted."""
    moved: dict[str, str] = {}
    columns = TABLE.get(trigger)
    if columns is None:
        return None
    for machine, steps in columns:
        step = steps.get(getattr(state, machine))
        if step is None or not all(GUARDS[guard](state) for guard in step.guards):
            return None
        moved[machine] = step.destination
    return moved
