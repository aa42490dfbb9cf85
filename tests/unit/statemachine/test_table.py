"""The compiled table held against the machines it was compiled from."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Final

import pytest

from statemachine import TenantState
from statemachine.events import EVENT_TYPES
from statemachine.machines import MACHINES, DatabaseHealth, Lifecycle, Occupancy, Replication
from statemachine.table import GUARDS, TABLE, moves
from tests.support.scenario import TENANT
from tests.unit.statemachine.driving import (
    STATES,
    TENANTS,
    TRIGGERS,
    UNKNOWN,
    LookedAtUnnamed,
    Outcome,
    Values,
    combinations,
    drive,
    driven,
    named,
    taken,
)

GUARDS_OF: Final = {
    "connect.requested": ("not_limited", "not_paused"),
    "connect.provisioned": ("not_replicated", "replicated"),
    "connect.stopped": ("expected",),
    "connect.resumed": ("paused",),
    "limit.reached": ("not_limited",),
    "limit.cleared": ("limited",),
}
"""The guards that the rows of a trigger name; the rows of every other trigger name none."""


def _compiled(name: str, source: str, trigger: str, values: Values) -> Outcome:
    """What the compiled table says of one machine."""
    columns = [column for column in TABLE.get(trigger, ()) if column.machine == name]
    if not columns:
        return Outcome(known=False, destination=None)
    (column,) = columns
    return Outcome(known=True, destination=taken(column.steps.get(source, ()), values))


def _in(tenant: TenantState, states: Iterable[str]) -> TenantState:
    lifecycle, database, replication, occupancy = states
    return tenant._replace(
        lifecycle=Lifecycle(lifecycle),
        database=DatabaseHealth(database),
        replication=Replication(replication),
        occupancy=Occupancy(occupancy),
    )


def test_the_compiled_table_agrees_with_every_machine_on_every_state_trigger_and_guard() -> None:
    """Combinations of the guards that a trigger's rows name are all there are: neither side may look at another."""
    walked = 0
    for name, machine in MACHINES.items():
        for source, trigger in product(STATES[name], TRIGGERS):
            for values in combinations(named(machine, trigger)):
                place = (source, trigger, values)
                assert _compiled(name, source, trigger, values) == driven(name, source, trigger, values), place
                walked += 1
    guards = {
        (name, trigger): len(named(machine, trigger)) for name, machine in MACHINES.items() for trigger in TRIGGERS
    }
    assert walked == sum(len(STATES[name]) * 2**number for (name, _), number in guards.items())
    assert sum(guards.values()) == sum(len(asked) for asked in GUARDS_OF.values())


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_a_trigger_looks_at_the_guards_that_are_listed_for_it(trigger: str) -> None:
    assert {guard for machine in MACHINES.values() for guard in named(machine, trigger)} == set(
        GUARDS_OF.get(trigger, ())
    )


def test_a_machine_that_looks_at_a_guard_it_was_not_given_is_found_out() -> None:
    with pytest.raises(LookedAtUnnamed, match="not_paused"):
        drive("lifecycle", "absent", "connect.requested", (("not_limited", True),))
    with pytest.raises(LookedAtUnnamed, match="not_limited"):
        drive("lifecycle", "absent", "connect.requested", (("not_paused", True),))


def test_a_tenant_moves_when_all_its_machines_agree() -> None:
    walked = 0
    for tenant, trigger in product(TENANTS, TRIGGERS):
        values = {name: guard(tenant) for name, guard in GUARDS.items()}
        outcomes = {(name, source): driven(name, source, trigger, values) for name in STATES for source in STATES[name]}
        for states in product(*STATES.values()):
            touched = {
                name: outcomes[name, source].destination
                for name, source in zip(STATES, states, strict=True)
                if outcomes[name, source].known
            }
            expected = None if None in touched.values() or not touched else touched
            assert moves(_in(tenant, states), trigger) == expected, (tenant, states, trigger)
            walked += 1
    assert walked == 2 * 2 * 2 * 2 * 3 * (5 * 3 * 4 * 3) * len(TRIGGERS)


@pytest.mark.parametrize("trigger", UNKNOWN)
def test_a_trigger_that_no_machine_names_is_not_permitted(trigger: str) -> None:
    assert moves(TenantState(TENANT), trigger) is None


def test_where_a_trigger_has_two_ways_a_tenant_has_one_of_them_and_never_both() -> None:
    alternatives = [steps for columns in TABLE.values() for column in columns for steps in column.steps.values()]
    alternatives = [steps for steps in alternatives if len(steps) > 1]
    assert alternatives
    for steps, tenant in product(alternatives, TENANTS):
        passable = [step for step in steps if all(GUARDS[guard](tenant) for guard in step.guards)]
        assert len(passable) == 1, (steps, tenant)


def test_the_table_has_every_event_type_of_a_tenant() -> None:
    assert set(TABLE) == set(EVENT_TYPES) - {"connect.claimed"}
