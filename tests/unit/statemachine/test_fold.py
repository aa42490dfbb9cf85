"""Folding: what an event must be to follow from a state, and what it changes there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import pytest

from statemachine import TenantState, fold
from statemachine.errors import IllegalEvent
from statemachine.events import (
    Claimed,
    ConnectPaused,
    ConnectProvisioned,
    ConnectRequested,
    PartitionsFailed,
    TenantEventData,
)
from statemachine.limits import (
    COMMAND_IDS_KEPT_FOR,
    COMMAND_IDS_KEPT_LONG,
    COMMAND_IDS_KEPT_MAX,
    CONNECT_FAILURES_KEPT_MAX,
    PARTITION_DAYS_KEPT_MAX,
)
from statemachine.machines import Occupancy, Replication
from statemachine.state import EventName
from tests.support.scenario import START, TENANT, following, given
from tests.unit.statemachine.situations import (
    CHECKED,
    CHECKED_DURABLE,
    FAILED,
    GAP,
    IDLE,
    LIMITED,
    LOST,
    MIGRATED,
    PARTITION_FAILED,
    PAUSED,
    POSTPONED,
    PROVISIONED,
    PROVISIONING,
    READY,
    REQUESTED,
    SITUATIONS,
    STARTED,
    STOPPED,
    STOPPING,
    STREAM_LOST,
    USED,
)


def _refused(state: TenantState, payload: TenantEventData, **wrong: object) -> str:
    """The message with which an event is refused; the state is as it was."""
    before = state._replace()
    event = following(state, payload)._replace(**cast("dict[str, Any]", wrong))
    with pytest.raises(IllegalEvent) as refused:
        fold(state, event)
    assert state == before
    return str(refused.value)


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


def test_after_ten_minutes_without_a_command_the_state_remembers_the_last_few() -> None:
    state = given().state
    for number in range(COMMAND_IDS_KEPT_LONG + 3):
        state = fold(state, following(state, ConnectPaused(), causation=f"c{number}", command_offset=number))
    assert len(state.command_ids) == COMMAND_IDS_KEPT_LONG + 3
    later = following(state, ConnectPaused(), causation="later", command_offset=99)
    later = later._replace(time=later.time + COMMAND_IDS_KEPT_FOR + timedelta(seconds=1))
    state = fold(state, later)
    assert state.command_ids == (*(f"c{number}" for number in range(4, COMMAND_IDS_KEPT_LONG + 3)), "later")
    assert state.commanded_at == later.time


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


def test_a_migration_of_a_tenant_that_is_not_connected_is_known_at_its_next_health_check() -> None:
    given(MIGRATED).and_state(migrations=81, lifecycle="absent", since=None, since_event=None)


def test_a_stop_leaves_nothing_of_stream_use_and_windows() -> None:
    full = SITUATIONS["waiting"].given(USED, IDLE, LOST)
    fresh = given().state
    told = ("recovery_until", "next_attempt_at", "replication_until", "replication_delay", "shutdown_at")
    assert None not in {getattr(full.state, field) for field in (*told, "occupancy_since")}
    after = full.given(STOPPED).and_state(replication=Replication.OFF, occupancy=Occupancy.UNKNOWN).state
    for field in (*told, "occupancy_since", "users", "database"):
        assert getattr(after, field) == getattr(fresh, field), field


def test_what_explains_the_past_outlives_a_stop() -> None:
    before = SITUATIONS["waiting"].given(GAP, USED, LOST).state
    after = SITUATIONS["waiting"].given(GAP, USED, LOST, STOPPED).state
    for field in ("stream", "gap_event", "occupancy_event", "replication_event", "recovery_event", "mode"):
        assert getattr(after, field) == getattr(before, field) is not None, field


@pytest.mark.parametrize(
    ("situation", "payload", "field"),
    [
        ("ready", PAUSED, "pause_event"),
        ("ready", LOST, "recovery_event"),
        ("streaming", STREAM_LOST, "replication_event"),
        ("waiting", POSTPONED, "replication_event"),
        ("waiting", GAP, "gap_event"),
        ("ready", USED, "occupancy_event"),
        ("used", IDLE, "occupancy_event"),
        ("failing", LIMITED, "limit_event"),
        ("ready", PARTITION_FAILED, "partitions_event"),
        ("ready", STOPPING, "since_event"),
    ],
)
def test_an_event_that_explains_a_state_is_remembered_with_its_claim(
    situation: str, payload: TenantEventData, field: str
) -> None:
    before = SITUATIONS[situation].state
    after = SITUATIONS[situation].taken_over(claim=17).given(payload).state
    assert getattr(after, field) == EventName(before.sequence + 1, 17)


def test_connect_failures_are_remembered_up_to_a_bound_and_the_oldest_is_forgotten_first() -> None:
    scenario = given()
    for _ in range(CONNECT_FAILURES_KEPT_MAX + 2):
        scenario = scenario.given(REQUESTED, FAILED)
    assert len(scenario.state.failures) == CONNECT_FAILURES_KEPT_MAX
    assert scenario.state.failures[-1] == scenario.now - timedelta(seconds=1)
    assert list(scenario.state.failures) == sorted(scenario.state.failures)


def test_failed_days_are_remembered_up_to_a_bound_and_the_earliest_is_forgotten_first() -> None:
    days = [f"2030-01-{day:02}" for day in range(1, PARTITION_DAYS_KEPT_MAX + 3)]
    scenario = READY.given(*(PartitionsFailed(day, "no room") for day in reversed(days)))
    assert scenario.state.partitions_failed == tuple(days[-PARTITION_DAYS_KEPT_MAX:])


def test_the_mode_of_replication_is_that_of_the_last_check() -> None:
    PROVISIONING.and_state(mode="off")
    given(REQUESTED, CHECKED_DURABLE).and_state(mode="durable")
    SITUATIONS["streaming"].given(STOPPING, STOPPED, REQUESTED, CHECKED, PROVISIONED).and_state(
        mode="off", replication=Replication.OFF
    )


def test_the_state_remembers_when_and_under_which_claim_the_last_stream_began() -> None:
    scenario = SITUATIONS["streaming"]
    assert scenario.state.stream == (scenario.now - timedelta(seconds=1), 0)
    later = scenario.taken_over(claim=9).given(STARTED)
    assert later.state.stream == (later.now - timedelta(seconds=1), 9)


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
