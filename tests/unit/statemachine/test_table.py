"""The machines, written out as a table of requirements, and the compiled table held against the machines."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import product
from typing import Final, NamedTuple

import pytest
from transitions import Machine, MachineError

from statemachine import TenantState
from statemachine.diagram import markdown, mermaid
from statemachine.events import EVENT_TYPES
from statemachine.machines import MACHINES, DatabaseHealth, Lifecycle, Occupancy, Replication
from statemachine.state import Pause
from statemachine.table import GUARDS, TABLE, moves
from tests.support.scenario import TENANT
from tests.unit.statemachine.situations import cells

LIFECYCLE: Final = """
event                absent         checking      provisioning  ready     stopping
connect.requested    checking?      -             -             -         -
connect.checked      -              provisioning  -             -         -
connect.provisioned  -              -             ready         -         -
connect.stopping     -              stopping      stopping      stopping  stopping
connect.stopped      -              absent        absent        absent    absent
connect.paused       absent         stopping      stopping      stopping  stopping
connect.resumed      absent!        -             -             -         stopping!
database.lost        -              -             -             ready     -
database.restored    -              -             -             ready     -
"""
"""Where an event leads; `-` where it is not permitted; `?` only while not paused; `!` only while paused."""

DATABASE: Final = """
event                down  up          recovering
connect.provisioned  up    -           -
database.lost        -     recovering  -
database.restored    -     -           up
connect.stopped      down  down        down
"""

UNKNOWN: Final = ("connect.claimed", "connect.unheard-of", "")
TRIGGERS: Final = (*sorted({trigger for machine in MACHINES.values() for trigger in machine.events}), *UNKNOWN)
STATES: Final[Mapping[str, tuple[str, ...]]] = {
    "lifecycle": tuple(state.value for state in Lifecycle),
    "database": tuple(state.value for state in DatabaseHealth),
    "replication": tuple(state.value for state in Replication),
    "occupancy": tuple(state.value for state in Occupancy),
}
GUARD_VALUES: Final = tuple(
    dict(zip(GUARDS, values, strict=True)) for values in product((False, True), repeat=len(GUARDS))
)
HELD: Final = Pause("hold", "ada", None)


class Outcome(NamedTuple):
    """Whether a machine knows the trigger at all, and where it leads; None where it is not permitted."""

    known: bool
    destination: str | None


class Model:
    """A throw-away model whose guards have the values they are given."""

    def __init__(self, values: Mapping[str, bool]) -> None:
        self.state = ""
        for guard, value in values.items():
            setattr(self, guard, partial(bool, value))


def _driven(machine: Machine, source: str, trigger: str, values: Mapping[str, bool]) -> Outcome:
    """What the machine itself does, on a model of its own."""
    model = Model(values)
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


def _compiled(name: str, source: str, trigger: str, values: Mapping[str, bool]) -> Outcome:
    """What the compiled table says of one machine."""
    columns = [column for column in TABLE.get(trigger, ()) if column.machine == name]
    if not columns:
        return Outcome(known=False, destination=None)
    (column,) = columns
    step = column.steps.get(source)
    permitted = step is not None and all(values[guard] for guard in step.guards)
    return Outcome(known=True, destination=step.destination if step is not None and permitted else None)


def _state(states: Mapping[str, str], pause: Pause | None, *, reconnect: bool) -> TenantState:
    return TenantState(
        TENANT,
        Lifecycle(states["lifecycle"]),
        DatabaseHealth(states["database"]),
        Replication(states["replication"]),
        Occupancy(states["occupancy"]),
        pause=pause,
        reconnect=reconnect,
    )


@pytest.mark.parametrize(("name", "table"), [("lifecycle", LIFECYCLE), ("database", DATABASE)])
@pytest.mark.parametrize("is_paused", [False, True])
def test_a_machine_permits_what_the_requirements_say_and_nothing_else(name: str, table: str, is_paused: bool) -> None:
    values = {**dict.fromkeys(GUARDS, False), "paused": is_paused, "not_paused": not is_paused}
    for trigger, source, cell in cells(table):
        holds = not cell.endswith("!" if not is_paused else "?")
        expected = cell.rstrip("?!") if holds and cell != "-" else None
        assert _driven(MACHINES[name], source, trigger, values) == (True, expected), (trigger, source)
    assert {trigger for trigger, _, _ in cells(table)} == set(MACHINES[name].events)


@pytest.mark.parametrize("name", ["replication", "occupancy"])
def test_a_stop_sets_the_machine_back_from_everywhere(name: str) -> None:
    machine = MACHINES[name]
    assert set(machine.events) == {"connect.stopped"}
    assert {_driven(machine, source, "connect.stopped", GUARD_VALUES[0]) for source in STATES[name]} == {
        (True, machine.initial)
    }


def test_the_compiled_table_agrees_with_every_machine_on_every_state_trigger_and_guard() -> None:
    walked = 0
    for name, machine in MACHINES.items():
        for source, trigger, values in product(STATES[name], TRIGGERS, GUARD_VALUES):
            assert _compiled(name, source, trigger, values) == _driven(machine, source, trigger, values), (
                name,
                source,
                trigger,
                values,
            )
            walked += 1
    assert walked == (5 + 3 + 4 + 3) * len(TRIGGERS) * 2 ** len(GUARDS)


def test_a_tenant_moves_when_all_its_machines_agree() -> None:
    walked = 0
    for pause, reconnect in product((None, HELD), (False, True)):
        values = {name: guard(TenantState(TENANT, pause=pause, reconnect=reconnect)) for name, guard in GUARDS.items()}
        outcomes = {
            (name, source, trigger): _driven(machine, source, trigger, values)
            for name, machine in MACHINES.items()
            for source, trigger in product(STATES[name], TRIGGERS)
        }
        for sources, trigger in product(product(*STATES.values()), TRIGGERS):
            states = dict(zip(STATES, sources, strict=True))
            of_machines = {name: outcomes[name, states[name], trigger] for name in STATES}
            touched = {name: outcome.destination for name, outcome in of_machines.items() if outcome.known}
            expected = None if None in touched.values() or not touched else touched
            assert moves(_state(states, pause, reconnect=reconnect), trigger) == expected, (states, trigger)
            walked += 1
    assert walked == 2 * 2 * (5 * 3 * 4 * 3) * len(TRIGGERS)


@pytest.mark.parametrize("trigger", UNKNOWN)
def test_a_trigger_that_no_machine_names_is_not_permitted(trigger: str) -> None:
    assert moves(TenantState(TENANT), trigger) is None


def test_no_machine_has_two_ways_out_of_a_state_for_one_trigger() -> None:
    for machine in MACHINES.values():
        for trigger in machine.events:
            sources = [row.source for row in machine.get_transitions(trigger=trigger)]
            assert len(sources) == len(set(sources)), f"the compiled table keeps one of two for {trigger}"


def test_no_guard_of_a_machine_is_an_unless() -> None:
    conditions = [
        condition for machine in MACHINES.values() for row in machine.get_transitions() for condition in row.conditions
    ]
    assert all(condition.target for condition in conditions)
    assert {condition.func for condition in conditions} == set(GUARDS)


def test_the_triggers_are_the_event_types_of_a_tenant() -> None:
    assert set(TABLE) == set(EVENT_TYPES) - {"connect.claimed"}


def test_the_states_are_those_of_the_machines_and_each_begins_at_its_first() -> None:
    for name, machine in MACHINES.items():
        assert tuple(machine.states) == STATES[name]
        assert machine.initial == STATES[name][0] == getattr(TenantState(TENANT), name)


def test_a_tenant_is_either_paused_or_not() -> None:
    for pause in (None, HELD):
        state = TenantState(TENANT, pause=pause)
        assert (GUARDS["paused"](state), GUARDS["not_paused"](state)) == (pause is not None, pause is None)


@pytest.mark.parametrize("name", MACHINES)
def test_a_diagram_shows_every_transition_of_its_machine(name: str) -> None:
    drawn = mermaid(name).splitlines()
    transitions = MACHINES[name].get_transitions()
    assert drawn[:2] == ["stateDiagram-v2", f"    [*] --> {MACHINES[name].initial}"]
    assert len(drawn) == 2 + len(transitions)
    for row in transitions:
        assert any(line.startswith(f"    {row.source} --> {row.dest}: ") for line in drawn)


def test_the_page_of_diagrams_shows_every_machine_with_its_guards() -> None:
    page = markdown()
    assert [line for line in page.splitlines() if line.startswith("## ")] == [f"## {name}" for name in MACHINES]
    assert "| absent | `connect.requested` | not_paused | checking |" in page
    assert "    absent --> checking: connect.requested [not_paused]" in page
