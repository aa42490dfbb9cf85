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
from statemachine.state import ReplicationMode, TenantState


class Step(NamedTuple):
    """Where a trigger leads from one state of one machine, and which guards must hold."""

    destination: str
    guards: tuple[str, ...]


class Column(NamedTuple):
    """What one trigger does to one machine: the machine's name and the steps from each source.

    Where a source has several steps, the first whose guards hold is taken.
    """

    machine: str
    steps: Mapping[str, tuple[Step, ...]]


def not_paused(state: TenantState) -> bool:
    """No operator has paused the tenant."""
    return state.pause is None


def paused(state: TenantState) -> bool:
    """An operator has paused the tenant."""
    return state.pause is not None


def expected(state: TenantState) -> bool:
    """Something is still to come: a connection that is wanted again, or rows that are promised."""
    return state.reconnect or state.is_promised


def limited(state: TenantState) -> bool:
    """Connecting failed too often and is not tried for a while."""
    return state.retry_at is not None


def not_limited(state: TenantState) -> bool:
    """Connecting did not fail too often."""
    return state.retry_at is None


def replicated(state: TenantState) -> bool:
    """The tenant's rows are to be streamed."""
    return state.mode is not ReplicationMode.OFF


def not_replicated(state: TenantState) -> bool:
    """The tenant's rows are not to be streamed."""
    return state.mode is ReplicationMode.OFF


GUARDS: Final[Mapping[str, Callable[[TenantState], bool]]] = {
    "not_paused": not_paused,
    "paused": paused,
    "expected": expected,
    "limited": limited,
    "not_limited": not_limited,
    "replicated": replicated,
    "not_replicated": not_replicated,
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
            Column(name, _steps(machine, trigger)) for name, machine in machines.items() if trigger in machine.events
        )
        for trigger in triggers
    }


def _steps(machine: Machine, trigger: str) -> dict[str, tuple[Step, ...]]:
    steps: dict[str, tuple[Step, ...]] = {}
    for source, step in rows(machine, trigger):
        steps[source] = (*steps.get(source, ()), step)
    return steps


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


def _moves_from(trigger: str, states: Mapping[str, StrEnum]) -> tuple[Move, ...]:
    """Each way ``trigger`` may take from ``states``: one for each combination of the machines' steps."""
    machines = [machine for machine, _ in TABLE[trigger]]
    alternatives = [steps.get(states[machine], ()) for machine, steps in TABLE[trigger]]
    return tuple(_move(dict(zip(machines, steps, strict=True))) for steps in product(*alternatives))


def _move(steps: Mapping[str, Step]) -> Move:
    guards = tuple(GUARDS[guard] for step in steps.values() for guard in step.guards)
    return Move(guards, {machine: STATES[machine](step.destination) for machine, step in steps.items()})


def _moves() -> dict[tuple[str, tuple[StrEnum, ...]], tuple[Move, ...]]:
    combinations = [dict(zip(STATES, states, strict=True)) for states in product(*STATES.values())]
    found = {
        (trigger, tuple(states.values())): _moves_from(trigger, states) for trigger in TABLE for states in combinations
    }
    return {place: moves for place, moves in found.items() if moves}


_MOVES: Final[Mapping[tuple[str, tuple[Any, ...]], tuple[Move, ...]]] = _moves()
"""Event type and states of the four machines, in their order → the moves; what is not here is not permitted."""

_FIRST: Final = TenantState._fields.index(next(iter(STATES)))
_LAST: Final = _FIRST + len(STATES)


def moves(state: TenantState, trigger: str) -> Mapping[str, StrEnum] | None:
    """The machines' states after ``trigger``, or None where the trigger is not permitted."""
    for move in _MOVES.get((trigger, state[_FIRST:_LAST]), ()):
        if all(guard(state) for guard in move.guards):
            return move.destinations
    return None
