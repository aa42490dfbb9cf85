"""The machines, written out as tables of requirements, and drawn."""

from __future__ import annotations

from itertools import product
from typing import Final

import pytest

from statemachine import TenantState
from statemachine.diagram import markdown, mermaid
from statemachine.events import EVENT_TYPES
from statemachine.machines import MACHINES
from statemachine.state import ReplicationMode
from statemachine.table import GUARDS, Step
from tests.support.scenario import TENANT
from tests.unit.statemachine.driving import STATES, TENANTS, combinations, driven, taken
from tests.unit.statemachine.situations import cells

LIFECYCLE: Final = """
event                  absent                           checking      provisioning  ready     stopping
connect.requested      checking/not_paused+not_limited  -             -             -         -
connect.checked        -                                provisioning  -             -         -
connect.provisioned    -                                -             ready         -         -
connect.stopping       -                                stopping      stopping      stopping  stopping
connect.stopped        absent/expected                  absent        absent        absent    absent
connect.paused         absent                           stopping      stopping      stopping  stopping
connect.resumed        absent/paused                    -             -             -         stopping/paused
connect.retried        -                                -             -             ready     -
database.lost          -                                -             -             ready     -
database.restored      -                                -             -             ready     -
replication.started    -                                -             -             ready     -
replication.lost       -                                -             -             ready     -
replication.postponed  -                                -             -             ready     -
replication.gap        -                                -             -             ready     -
occupancy.used         -                                -             -             ready     -
occupancy.idle         -                                -             -             ready     -
partitions.failed      absent                           -             -             ready     -
partitions.restored    absent                           -             -             ready     -
limit.reached          absent/not_limited               -             -             -         -
limit.cleared          absent/limited                   -             -             -         -
migrations.finished    absent                           -             -             -         -
"""

DATABASE: Final = """
event                down  up          recovering
connect.provisioned  up    -           -
database.lost        -     recovering  recovering
database.restored    -     -           up
connect.stopped      down  down        down
"""

REPLICATION: Final = """
event                  off                                     starting   streaming  waiting
connect.provisioned    starting/replicated|off/not_replicated  -          -          -
replication.started    -                                       streaming  streaming  streaming
replication.lost       -                                       -          waiting    -
replication.postponed  -                                       waiting    -          waiting
replication.gap        -                                       starting   streaming  waiting
connect.stopped        off                                     off        off        off
"""

OCCUPANCY: Final = """
event            unknown  used     idle
occupancy.used   used     used     used
occupancy.idle   idle     idle     -
connect.stopped  unknown  unknown  unknown
"""

REQUIRED: Final = {"lifecycle": LIFECYCLE, "database": DATABASE, "replication": REPLICATION, "occupancy": OCCUPANCY}
"""Where an event leads; `-` where it is not permitted. After `/` stand the guards that must hold; `|` separates
alternatives."""


def _required(cell: str) -> tuple[Step, ...]:
    """The steps that a cell of the requirements permits."""
    if cell == "-":
        return ()
    ways = [way.partition("/") for way in cell.split("|")]
    return tuple(Step(destination, tuple(guards.split("+")) if guards else ()) for destination, _, guards in ways)


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_permits_what_the_requirements_say_and_nothing_else(name: str) -> None:
    for trigger, source, cell in cells(REQUIRED[name]):
        steps = _required(cell)
        for values in combinations(GUARDS):
            place = (trigger, source, values)
            assert driven(name, source, trigger, values) == (True, taken(steps, values)), place


@pytest.mark.parametrize("name", MACHINES)
def test_the_requirements_have_every_event_and_every_state_of_a_machine(name: str) -> None:
    required = [(trigger, source) for trigger, source, _ in cells(REQUIRED[name])]
    assert sorted(required) == sorted(product(MACHINES[name].events, STATES[name]))


def test_no_guard_of_a_machine_is_an_unless() -> None:
    conditions = [
        condition for machine in MACHINES.values() for row in machine.get_transitions() for condition in row.conditions
    ]
    assert all(condition.target for condition in conditions)
    assert {condition.func for condition in conditions} == set(GUARDS)


def test_the_triggers_are_the_event_types_of_a_tenant() -> None:
    triggers = {trigger for machine in MACHINES.values() for trigger in machine.events}
    assert triggers == set(EVENT_TYPES) - {"connect.claimed"}


def test_the_states_are_those_of_the_machines_and_each_begins_at_its_first() -> None:
    for name, machine in MACHINES.items():
        assert tuple(machine.states) == STATES[name]
        assert machine.initial == STATES[name][0] == getattr(TenantState(TENANT), name)


@pytest.mark.parametrize("tenant", TENANTS)
def test_each_guard_looks_at_one_thing_and_its_opposite_at_the_same(tenant: TenantState) -> None:
    assert {name: guard(tenant) for name, guard in GUARDS.items()} == {
        "paused": tenant.pause is not None,
        "not_paused": tenant.pause is None,
        "expected": tenant.reconnect or tenant.is_promised,
        "limited": tenant.retry_at is not None,
        "not_limited": tenant.retry_at is None,
        "replicated": tenant.mode in (ReplicationMode.DURABLE, ReplicationMode.TEMPORARY),
        "not_replicated": tenant.mode is ReplicationMode.OFF,
    }


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
    assert "| absent | `connect.requested` | not_paused and not_limited | checking |" in page
    assert "    absent --> checking: connect.requested [not_paused and not_limited]" in page
    assert "    off --> starting: connect.provisioned [replicated]" in page
    assert "    off --> off: connect.provisioned [not_replicated]" in page
