"""The machines compiled into one dictionary, for the hot path.

A dictionary look-up costs a hundredth of `Machine.trigger` and no memory per tenant. A test walks every
state and trigger, the illegal ones included, and shows that table and machines agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from itertools import product
from typing import Any, Final, NamedTuple

from transitions import Machine

from statemachine.machines import MACHINES, STATES
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


class Move(NamedTuple):
    """What one trigger does to a tenant in one state of all four machines.

    Attributes:
        guards: what must hold.
        destinations: machine → its state afterwards, for the machines that name the trigger.
    """

    guards: tuple[Callable[[TenantState], bool], ...]
    destinations: Mapping[str, StrEnum]


def _move(trigger: str, states: Mapping[str, StrEnum]) -> Move | None:
    steps = {machine: steps.get(states[machine]) for machine, steps in TABLE[trigger]}
    permitted = {machine: step for machine, step in steps.items() if step is not None}
    if len(permitted) < len(steps):
        return None
    guards = tuple(GUARDS[guard] for step in permitted.values() for guard in step.guards)
    return Move(guards, {machine: STATES[machine](step.destination) for machine, step in permitted.items()})


def _moves() -> dict[tuple[str, tuple[StrEnum, ...]], Move]:
    combinations = [dict(zip(STATES, states, strict=True)) for states in product(*STATES.values())]
    found = {(trigger, tuple(states.values())): _move(trigger, states) for trigger in TABLE for states in combinations}
    return {place: move for place, move in found.items() if move is not None}


_MOVES: Final[Mapping[tuple[str, tuple[Any, ...]], Move]] = _moves()
"""Event type and states of the four machines, in their order → the move; what is not here is not permitted."""

_FIRST: Final = TenantState._fields.index(next(iter(STATES)))
_LAST: Final = _FIRST + len(STATES)


def moves(state: TenantState, trigger: str) -> Mapping[str, StrEnum] | None:
    """The machines' states after ``trigger``, or None where the trigger is not permitted."""
    move = _MOVES.get((trigger, state[_FIRST:_LAST]))
    if move is None or not all(guard(state) for guard in move.guards):
        return None
    return move.destinations
