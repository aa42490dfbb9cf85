"""Whatever stands on a log: all readers agree on it, in however many pieces they read, and zombies never count."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from itertools import pairwise

from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from statemachine import PartitionState
from statemachine.events import Claimed, Event
from statemachine.partition import Verdict
from tests.unit.statemachine.histories import (
    MODEST,
    TENANTS,
    Ask,
    Record,
    Take,
    asks_of_one_worker,
    courses,
    log_of,
    read_once,
    reading,
)

cuts = st.lists(st.integers(0, 60), max_size=6)


def _counted(records: list[Record]) -> Iterator[tuple[int, Record]]:
    """The records that count, worked out anew: an event under the last claim that no earlier claim outranks."""
    ranks = [
        ((record.term, record.generation), offset)
        for offset, record in enumerate(records)
        if isinstance(record, Claimed)
    ]
    valid = {offset for rank, offset in ranks if all(rank >= other for other, earlier in ranks if earlier < offset)}
    for offset, record in enumerate(records):
        latest = max((claim for claim in valid if claim <= offset), default=None)
        if (record.claim if isinstance(record, Event) else offset) == latest:
            yield offset, record


def _verdicts(records: list[Record]) -> list[Verdict]:
    partition = PartitionState(0)
    return [partition.fold(offset, record) for offset, record in enumerate(records)]


@MODEST
@given(asks_of_one_worker, cuts)
def test_a_log_read_in_pieces_is_the_same_log(asks: list[Ask], where: list[int]) -> None:
    records = log_of((Take(0), *asks))
    ends = sorted({0, len(records), *(min(cut, len(records)) for cut in where)})
    partition = PartitionState(0)
    for begin, end in pairwise(ends):
        partition = deepcopy(partition)
        for offset in range(begin, end):
            partition.fold(offset, records[offset])
    assert reading(partition) == reading(read_once(records))
    assert partition.void == 0


@MODEST
@given(courses)
def test_a_log_whose_every_record_is_delivered_twice_is_the_same_log(course: list[Ask | Take]) -> None:
    records = log_of(course)
    partition = PartitionState(0)
    for offset, record in enumerate(records):
        assert partition.fold(offset, record) is not Verdict.SEEN
        assert partition.fold(offset, record) is Verdict.SEEN
    assert reading(partition) == reading(read_once(records))


@MODEST
@given(courses, cuts)
def test_readers_who_go_back_and_read_again_agree(course: list[Ask | Take], where: list[int]) -> None:
    records = log_of(course)
    partition = PartitionState(0)
    for position in [*where, len(records)]:
        for offset in range(max(0, position - 10), min(position, len(records))):
            if offset <= partition.folded + 1:
                partition.fold(offset, records[offset])
    for offset, record in enumerate(records):
        partition.fold(offset, record)
    assert reading(partition) == reading(read_once(records))


@MODEST
@given(courses)
def test_the_records_that_count_are_those_of_the_last_claim_that_none_outranks(course: list[Ask | Take]) -> None:
    records = log_of(course)
    counted = {offset for offset, _ in _counted(records)}
    verdicts = _verdicts(records)
    assert {offset for offset, verdict in enumerate(verdicts) if verdict is Verdict.APPLIED} == counted
    assert read_once(records).void == len(records) - len(counted)
    note(f"zombies wrote: {any(verdict is Verdict.VOID for verdict in verdicts)}")


@MODEST
@given(courses)
def test_the_events_that_count_are_a_chain_without_a_gap_for_each_tenant(course: list[Ask | Take]) -> None:
    records = log_of(course)
    partition = read_once(records)
    for tenant in TENANTS:
        events = [record for _, record in _counted(records) if isinstance(record, Event) and record.tenant == tenant]
        assert [event.sequence for event in events] == list(range(1, len(events) + 1))
        links = ["", *(event.hash for event in events)]
        assert [event.previous_hash for event in events] == links[:-1]
        assert (partition.tenant(tenant).sequence, partition.tenant(tenant).hash) == (len(events), links[-1])


@MODEST
@given(courses)
def test_what_zombies_write_changes_nothing_but_the_count_of_void_records(course: list[Ask | Take]) -> None:
    records = log_of(course)
    without = PartitionState(0)
    for offset, record in _counted(records):
        without.fold(offset, record)
    with_zombies = reading(read_once(records))
    expected = reading(without)
    assert with_zombies._replace(folded=0, void=0) == expected._replace(folded=0, void=0)
    assert with_zombies.folded == len(records) - 1
    assert expected.void == 0


@MODEST
@given(courses)
def test_a_command_leads_to_one_event_that_counts_whoever_decided_it(course: list[Ask | Take]) -> None:
    offsets = [
        record.command_offset
        for _, record in _counted(log_of(course))
        if isinstance(record, Event) and record.command_offset is not None
    ]
    assert offsets == sorted(set(offsets))
