"""A partition: which claim counts, which records count under it, and what is skipped."""

from __future__ import annotations

from typing import Final

import pytest

from statemachine import PartitionState, TenantState
from statemachine.errors import IllegalEvent
from statemachine.events import Claimed, CommandPlace, Event, TenantEventData
from statemachine.machines import Lifecycle
from statemachine.partition import NOTHING_FOLDED, Claim, Verdict
from tests.support.scenario import following
from tests.unit.statemachine.situations import CHECKED, REQUESTED, STOPPING

APPLIED: Final = Verdict.APPLIED
VOID: Final = Verdict.VOID
SEEN: Final = Verdict.SEEN


def _partition(*records: Claimed | Event) -> PartitionState:
    partition = PartitionState(3)
    for offset, record in enumerate(records):
        partition.fold(offset, record)
    return partition


def _next(
    partition: PartitionState,
    payload: TenantEventData,
    *,
    claim: int = 0,
    command_offset: int | None = None,
    tenant: str = "t1",
) -> Event:
    return following(partition.tenant(tenant), payload, claim=claim, command_offset=command_offset)


def _seen(partition: PartitionState) -> tuple[object, ...]:
    return (partition.claim, partition.folded, partition.command_offset, dict(partition.tenants), partition.void)


def test_a_partition_of_which_nothing_was_read_has_folded_nothing() -> None:
    partition = PartitionState(3)
    assert (partition.partition, partition.claim, partition.folded, partition.command_offset, partition.void) == (
        3,
        None,
        NOTHING_FOLDED,
        -1,
        0,
    )
    assert NOTHING_FOLDED == -1


def test_a_tenant_without_events_is_absent_and_takes_no_room() -> None:
    partition = PartitionState(3)
    assert partition.tenant("t1") == TenantState("t1")
    assert partition.tenants == {}


def test_the_first_claim_counts_whatever_it_says() -> None:
    partition = PartitionState(0)
    assert partition.fold(7, Claimed("w1", 0)) is APPLIED
    assert partition.claim == Claim(7, "w1", 0, 0)


@pytest.mark.parametrize(
    ("term", "generation", "verdict"),
    [
        (1, 6, APPLIED),
        (1, 5, APPLIED),
        (1, 4, VOID),
        (1, 0, VOID),
        (2, 0, APPLIED),
        (2, 9, APPLIED),
        (0, 5, VOID),
        (0, 99, VOID),
    ],
)
def test_term_and_then_generation_decide_which_claim_counts(term: int, generation: int, verdict: Verdict) -> None:
    partition = _partition(Claimed("w1", 5, 1))
    assert partition.fold(1, Claimed("w2", generation, term)) is verdict
    if verdict is APPLIED:
        assert partition.claim == Claim(1, "w2", generation, term)
    else:
        assert partition.claim == Claim(0, "w1", 5, 1)
    assert partition.void == (verdict is VOID)


def test_a_void_claim_does_not_lower_the_bar_for_the_next() -> None:
    partition = _partition(Claimed("w1", 5), Claimed("w2", 3))
    assert partition.fold(2, Claimed("w3", 4)) is VOID
    assert partition.fold(3, Claimed("w3", 5)) is APPLIED


def test_an_event_counts_under_the_claim_that_counts() -> None:
    partition = _partition(Claimed("w1", 1))
    assert partition.fold(1, _next(partition, REQUESTED)) is APPLIED
    assert partition.tenant("t1").lifecycle is Lifecycle.CHECKING


def test_an_event_before_any_claim_is_void() -> None:
    partition = PartitionState(0)
    assert partition.fold(0, _next(partition, REQUESTED)) is VOID
    assert (partition.tenants, partition.void, partition.folded) == ({}, 1, 0)


def test_an_event_under_a_deposed_claim_is_void_even_where_it_would_follow() -> None:
    partition = _partition(Claimed("w1", 1))
    zombie = _next(partition, REQUESTED, claim=0, command_offset=4)
    partition.fold(1, Claimed("w2", 2))
    assert partition.fold(2, zombie) is VOID
    assert (partition.tenants, partition.command_offset, partition.void) == ({}, -1, 1)
    assert partition.fold(3, _next(partition, REQUESTED, claim=1, command_offset=4)) is APPLIED


def test_an_event_under_a_void_claim_is_void() -> None:
    partition = _partition(Claimed("w1", 5), Claimed("w2", 4))
    assert partition.fold(2, _next(partition, REQUESTED, claim=1)) is VOID
    assert partition.fold(3, _next(partition, REQUESTED, claim=0)) is APPLIED


@pytest.mark.parametrize("claim", [-1, 1, 2, 99])
def test_an_event_under_a_claim_that_does_not_stand_there_is_void(claim: int) -> None:
    partition = _partition(Claimed("w1", 1))
    assert partition.fold(1, _next(partition, REQUESTED, claim=claim)) is VOID


def test_a_void_event_need_not_follow_from_anything() -> None:
    partition = _partition(Claimed("w1", 1), Claimed("w2", 2))
    nonsense = _next(partition, CHECKED, claim=0)._replace(sequence=77, previous_hash="nonsense")
    assert partition.fold(2, nonsense) is VOID


def test_the_folded_offset_advances_over_whatever_was_read() -> None:
    partition = _partition(Claimed("w1", 5))
    assert partition.folded == 0
    partition.fold(1, Claimed("w2", 4))
    assert partition.folded == 1
    partition.fold(2, _next(partition, REQUESTED, claim=1))
    assert partition.folded == 2
    partition.fold(3, _next(partition, REQUESTED))
    assert partition.folded == 3


def test_a_record_read_again_is_skipped() -> None:
    partition = _partition(Claimed("w1", 1))
    event = _next(partition, REQUESTED, command_offset=0)
    partition.fold(1, event)
    before = _seen(partition)
    assert partition.fold(1, event) is SEEN
    assert partition.fold(0, Claimed("w1", 1)) is SEEN
    assert partition.fold(0, Claimed("w9", 99)) is SEEN
    assert _seen(partition) == before


def test_a_void_record_read_again_is_counted_once() -> None:
    partition = _partition(Claimed("w1", 5), Claimed("w2", 4))
    assert partition.fold(1, Claimed("w2", 4)) is SEEN
    assert partition.void == 1


@pytest.mark.parametrize("tenant", ["t1", "t2"])
@pytest.mark.parametrize("offset", [0, 7, 8])
def test_a_command_that_leads_to_a_second_event_is_illegal(offset: int, tenant: str) -> None:
    partition = _partition(Claimed("w1", 1))
    partition.fold(1, _next(partition, REQUESTED, command_offset=8))
    before = _seen(partition)
    payload = STOPPING if tenant == "t1" else REQUESTED
    with pytest.raises(IllegalEvent, match=rf"command offset {offset} of tenant '{tenant}'.*up to 8 "):
        partition.fold(2, _next(partition, payload, command_offset=offset, tenant=tenant))
    assert _seen(partition) == before


def test_commands_are_remembered_across_claims() -> None:
    partition = _partition(Claimed("w1", 1))
    partition.fold(1, _next(partition, REQUESTED, command_offset=8))
    partition.fold(2, Claimed("w2", 2))
    with pytest.raises(IllegalEvent, match="command offset 8"):
        partition.fold(3, _next(partition, STOPPING, claim=2, command_offset=8))


def test_an_event_without_a_command_leaves_the_command_offset_as_it_is() -> None:
    partition = _partition(Claimed("w1", 1))
    partition.fold(1, _next(partition, REQUESTED, command_offset=8))
    partition.fold(2, _next(partition, CHECKED))
    assert partition.command_offset == 8


def test_an_illegal_event_leaves_the_partition_as_it_was() -> None:
    partition = _partition(Claimed("w1", 1))
    partition.fold(1, _next(partition, REQUESTED, command_offset=1))
    before = _seen(partition)
    gap = _next(partition, STOPPING, command_offset=2)._replace(sequence=9)
    with pytest.raises(IllegalEvent):
        partition.fold(2, gap)
    assert _seen(partition) == before
    assert partition.fold(2, _next(partition, STOPPING, command_offset=2)) is APPLIED


def test_tenants_of_a_partition_do_not_disturb_one_another() -> None:
    partition = _partition(Claimed("w1", 1))
    partition.fold(1, _next(partition, REQUESTED, tenant="t1"))
    partition.fold(2, _next(partition, REQUESTED, tenant="t2"))
    partition.fold(3, _next(partition, CHECKED, tenant="t2"))
    assert {name: state.sequence for name, state in partition.tenants.items()} == {"t1": 1, "t2": 2}


def test_an_event_applied_on_its_way_to_the_log_is_skipped_when_it_is_delivered() -> None:
    partition = _partition(Claimed("w1", 1))
    event = _next(partition, REQUESTED, command_offset=5)
    partition.apply(event)
    assert (partition.tenant("t1").sequence, partition.command_offset, partition.folded) == (1, 5, 0)
    partition.advance(1)
    assert partition.fold(1, event) is SEEN
    assert _seen(partition) == _seen(_partition(Claimed("w1", 1), event))


def test_an_illegal_event_is_not_applied_on_its_way_to_the_log() -> None:
    partition = _partition(Claimed("w1", 1))
    partition.apply(_next(partition, REQUESTED, command_offset=5))
    before = _seen(partition)
    for wrong in (_next(partition, STOPPING, command_offset=5), _next(partition, REQUESTED, command_offset=6)):
        with pytest.raises(IllegalEvent):
            partition.apply(wrong)
    assert _seen(partition) == before


def test_the_folded_offset_never_goes_back() -> None:
    partition = _partition(Claimed("w1", 1))
    partition.advance(4)
    partition.advance(2)
    assert partition.folded == 4


def test_a_command_that_was_forwarded_twice_is_recognised_by_where_it_came_from() -> None:
    partition = _partition(Claimed("w1", 1))
    origin = CommandPlace(partition=3, offset=40)
    partition.fold(1, _next(partition, REQUESTED, command_offset=8)._replace(origin=origin))
    assert partition.is_decided(9, origin)
    assert partition.is_decided(9, CommandPlace(partition=3, offset=39))
    assert not partition.is_decided(9, CommandPlace(partition=3, offset=41))
    assert not partition.is_decided(9, CommandPlace(partition=2, offset=40))
    assert not partition.is_decided(9, None)


def test_a_second_event_of_a_command_that_was_forwarded_twice_is_illegal() -> None:
    partition = _partition(Claimed("w1", 1))
    origin = CommandPlace(partition=3, offset=40)
    partition.fold(1, _next(partition, REQUESTED, command_offset=8)._replace(origin=origin))
    before = _seen(partition)
    with pytest.raises(IllegalEvent, match="second event"):
        partition.fold(2, _next(partition, CHECKED, command_offset=9)._replace(origin=origin))
    assert _seen(partition) == before
