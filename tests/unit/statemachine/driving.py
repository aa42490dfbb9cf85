"""The machines driven for real, each on a throw-away model, to hold the compiled table against them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache, partial
from itertools import product
from typing import Final, NamedTuple, NoReturn

from transitions import Machine, MachineError

from statemachine import TenantState
from statemachine.machines import MACHINES, DatabaseHealth, Lifecycle, Occupancy, Replication
from statemachine.state import Pause, ReplicationMode
from statemachine.table import GUARDS, Step, rows
from tests.support.scenario import START, TENANT

UNKNOWN: Final = ("connect.claimed", "connect.unheard-of", "")
TRIGGERS: Final = (*sorted({trigger for machine in MACHINES.values() for trigger in machine.events}), *UNKNOWN)
STATES: Final[Mapping[str, tuple[str, ...]]] = {
    "lifecycle": tuple(state.value for state in Lifecycle),
    "database": tuple(state.value for state in DatabaseHealth),
    "replication": tuple(state.value for state in Replication),
    "occupancy": tuple(state.value for state in Occupancy),
}
TENANTS: Final = tuple(
    TenantState(TENANT, pause=pause, reconnect=reconnect, retry_at=retry_at, mode=mode, promised_since=promised_since)
    for pause, reconnect, retry_at, mode, promised_since in product(
        (None, Pause("hold", "ada", None)), (False, True), (None, START), ReplicationMode, (None, START)
    )
)
"""A tenant for each combination of what guards look at."""

Values = Mapping[str, bool]
"""Guard → whether it holds."""


class LookedAtUnnamed(Exception):
    """A machine looked at a guard that no row of the trigger names."""


class Outcome(NamedTuple):
    """Whether a machine knows the trigger at all, and where it leads; None where it is not permitted."""

    known: bool
    destination: str | None


class Model:
    """A throw-away model whose guards have the values they are given; to look at any other is an error."""

    def __init__(self, values: Values) -> None:
        self.state = ""
        for guard in GUARDS:
            setattr(self, guard, partial(bool, values[guard]) if guard in values else partial(_unnamed, guard))


def _unnamed(guard: str) -> NoReturn:
    raise LookedAtUnnamed(guard)


def named(machine: Machine, trigger: str) -> list[str]:
    """The guards that the rows of ``trigger`` name, whatever their source."""
    known = trigger in machine.events
    return sorted({guard for _, step in rows(machine, trigger) for guard in step.guards}) if known else []


def combinations(guards: Iterable[str]) -> list[Values]:
    """Every combination of values of ``guards``, those included that no tenant can have."""
    order = list(guards)
    return [dict(zip(order, values, strict=True)) for values in product((False, True), repeat=len(order))]


def driven(name: str, source: str, trigger: str, values: Values) -> Outcome:
    """What a machine itself does, on a model of its own; of ``values`` it gets those that the trigger's rows name."""
    given = tuple((guard, values[guard]) for guard in named(MACHINES[name], trigger))
    return drive(name, source, trigger, given)


@cache
def drive(name: str, source: str, trigger: str, values: tuple[tuple[str, bool], ...]) -> Outcome:
    """What a machine itself does, on a model that has these guards and no others."""
    machine = MACHINES[name]
    model = Model(dict(values))
    machine.add_model(model, initial=source)
    try:
        permitted = machine.events[trigger].trigger(model) if trigger in machine.events else None
    except MachineError:
        permitted = False
    finally:
        machine.remove_model(model)
    if not permitted:
        assert model.state == source
        return Outcome(permitted is not None, None)
    return Outcome(known=True, destination=model.state)


def taken(steps: Iterable[Step], values: Values) -> str | None:
    """Where the first step leads whose guards hold."""
    return next((step.destination for step in steps if all(values[guard] for guard in step.guards)), None)
