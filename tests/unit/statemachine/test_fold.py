"""Folding: what an event must be to follow from a state, and what it changes there."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import Any, Final, cast

import pytest

from statemachine import TenantState, fold
from statemachine.errors import IllegalEvent
from statemachine.events import (
    EVENT_TYPES,
    Claimed,
    ConnectPaused,
    ConnectProvisioned,
    ConnectRequested,
    ConnectResumed,
    DatabaseRestored,
    TenantEventData,
)
from statemachine.limits import COMMAND_IDS_KEPT_MAX
from statemachine.machines import Lifecycle, Occupancy, Replication
from tests.support.scenario import START, TENANT, following, given
from tests.unit.statemachine.situations import (
    CHECKED,
    LOST,
    PAUSED,
    PROVISIONED,
    PROVISIONING,
    READY,
    REQUESTED,
    SITUATIONS,
    STOPPED,
    STOPPING,
    cells,
)

PERMITTED: Final = """
event                never    checking       provisioning  ready     recovering  stopping  reloading  pausing   stopped   returning  paused
connect.requested    checking  -             -             -         -           -         -          -         checking  checking   -
connect.checked      -         provisioning  -             -         -           -         -          -         -         -          -
connect.provisioned  -         -             ready         -         -           -         -          -         -         -          -
connect.stopping     -         stopping      stopping      stopping  stopping    stopping  stopping   stopping  -         -          -
connect.paused       absent    stopping      stopping      stopping  stopping    stopping  stopping   stopping  absent    absent     absent
connect.resumed      -         -             -             -         -           -         -          stopping  -         -          absent
database.lost        -         -             -             ready     -           -         -          -         -         -          -
database.restored    -         -             -             -         ready       -         -          -         -         -          -
"""  # noqa: E501 - a table reads by its columns
"""The lifecycle after an event; `-` where it is illegal. `connect.stopped` has a test of its own."""

PAYLOADS: Final[dict[str, TenantEventData]] = {
    payload.type: payload
    for payload in (
        REQUESTED,
        CHECKED,
        PROVISIONED,
        STOPPING,
        STOPPED,
        PAUSED,
        ConnectResumed("done", "bob"),
        LOST,
        DatabaseRestored(),
    )
}


def _refused(state: TenantState, payload: TenantEventData, **wrong: object) -> str:
    """The message with which an event is refused; the state is as it was."""
    before = state._replace()
    event = following(state, payload)._replace(**cast("dict[str, Any]", wrong))
    with pytest.raises(IllegalEvent) as refused:
        fold(state, event)
    assert state == before
    return str(refused.value)


@pytest.mark.parametrize(("event", "situation", "expected"), cells(PERMITTED))
def test_an_event_leads_where_the_table_says_or_is_illegal(event: str, situation: str, expected: str) -> None:
    state = SITUATIONS[situation].state
    if expected == "-":
        assert f"{event} of tenant 't1', sequence {state.sequence + 1}, is not permitted" in _refused(
            state, PAYLOADS[event]
        )
    else:
        assert fold(state, following(state, PAYLOADS[event])).lifecycle == expected


def test_the_table_has_every_event_in_every_situation() -> None:
    assert {(event, situation) for event, situation, _ in cells(PERMITTED)} == set(
        product(set(EVENT_TYPES) - {"connect.claimed", "connect.stopped"}, SITUATIONS)
    )
    assert set(PAYLOADS) == set(EVENT_TYPES) - {"connect.claimed"}


@pytest.mark.parametrize("situation", ["checking", "provisioning", "ready", "recovering", "stopping", "pausing"])
def test_a_stop_leads_from_every_state_with_a_connection_to_absent(situation: str) -> None:
    SITUATIONS[situation].given(STOPPED).and_state(lifecycle=Lifecycle.ABSENT)


@pytest.mark.parametrize("situation", ["never", "stopped", "paused"])
def test_a_stop_of_a_tenant_that_is_absent_is_illegal(situation: str) -> None:
    _refused(SITUATIONS[situation].state, STOPPED)


def test_an_event_of_another_tenant_is_illegal() -> None:
    assert _refused(READY.state, STOPPING, tenant="t2") == "an event of tenant 't2' among those of 't1'"


@pytest.mark.parametrize("sequence", [-1, 0, 1, 2, 3, 5, 6])
def test_an_event_out_of_sequence_is_illegal(sequence: int) -> None:
    assert _refused(READY.state, STOPPING, sequence=sequence) == f"sequence {sequence} of tenant 't1' where 4 is due"


@pytest.mark.parametrize("previous", ["", "0" * 32])
def test_an_event_that_breaks_the_chain_is_illegal(previous: str) -> None:
    message = _refused(READY.state, STOPPING, previous_hash=previous)
    assert message == "the hash chain of tenant 't1' is broken before sequence 4"


def test_a_first_event_that_claims_to_have_a_forerunner_is_illegal() -> None:
    _refused(given().state, REQUESTED, previous_hash="0" * 32)


def test_an_event_delivered_twice_is_illegal_for_the_tenant() -> None:
    event = following(given().state, REQUESTED)
    once = fold(given().state, event)
    with pytest.raises(IllegalEvent):
        fold(once, event)


def test_a_claim_dressed_up_as_an_event_of_a_tenant_is_illegal() -> None:
    _refused(given().state, cast("TenantEventData", Claimed("w1", 1)))


def test_an_event_carries_its_place_over_into_the_state() -> None:
    event = following(READY.state, STOPPING, at=START + timedelta(hours=2))
    state = fold(READY.state, event)
    assert (state.sequence, state.hash, state.since, state.since_event) == (
        4,
        event.hash,
        event.time,
        (4, event.claim),
    )


def test_the_state_remembers_the_claim_under_which_the_lifecycle_moved() -> None:
    state = fold(READY.state, following(READY.state, STOPPING, claim=17))
    assert state.since_event is not None
    assert state.since_event.claim == 17
    again = fold(state, following(state, STOPPING, claim=23))
    assert again.since_event is not None
    assert again.since_event.claim == 17


def test_a_tenant_that_never_moved_has_no_claim_to_remember() -> None:
    assert given(ConnectPaused()).state.since_event is None


def test_the_state_remembers_the_commands_that_led_to_events_and_no_reports() -> None:
    state = fold(given().state, following(given().state, REQUESTED, causation="a", command_offset=0))
    state = fold(state, following(state, CHECKED, causation="effect:check"))
    state = fold(state, following(state, STOPPING, causation="b", command_offset=9))
    assert state.command_ids == ("a", "b")


def test_the_state_forgets_the_oldest_commands_first() -> None:
    state = given().state
    for number in range(COMMAND_IDS_KEPT_MAX + 3):
        state = fold(state, following(state, ConnectPaused(), causation=f"c{number}", command_offset=number))
    assert state.command_ids == tuple(f"c{number}" for number in range(3, COMMAND_IDS_KEPT_MAX + 3))


def test_migrations_are_those_found_and_those_run() -> None:
    PROVISIONING.and_state(migrations=60).given(PROVISIONED).and_state(migrations=64)


def test_a_database_that_needs_no_migration_keeps_its_count() -> None:
    PROVISIONING.given(ConnectProvisioned(0, (), 1)).and_state(migrations=60)


def test_the_regions_of_the_last_request_count() -> None:
    READY.given(STOPPING, STOPPED, ConnectRequested("eu-west-2", "london")).and_state(
        platform_region="eu-west-2", serving_region="london"
    )


def test_what_is_known_of_a_database_outlives_its_connection() -> None:
    READY.given(STOPPING, STOPPED).and_state(migrations=64, platform_region="us-east-1")


def test_a_stop_sets_replication_and_occupancy_back() -> None:
    state = READY.state._replace(replication=Replication.STREAMING, occupancy=Occupancy.IDLE)
    after = fold(state, following(state, STOPPED))
    assert (after.replication, after.occupancy) == (Replication.OFF, Occupancy.UNKNOWN)


def test_machine_states_stay_members_of_their_enumerations() -> None:
    state = READY.given(LOST, STOPPING, STOPPED).state
    assert [type(value).__name__ for value in state[1:5]] == ["Lifecycle", "DatabaseHealth", "Replication", "Occupancy"]


def test_folding_leaves_the_state_before_as_it_was() -> None:
    before = READY.state
    copy = before._replace()
    assert fold(before, following(before, STOPPING)) != before == copy


def test_a_tenant_is_known_by_its_own_name() -> None:
    assert given(REQUESTED, tenant="t9").state.tenant == "t9"
    assert given().state.tenant == TENANT
