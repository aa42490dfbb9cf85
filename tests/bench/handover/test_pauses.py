from __future__ import annotations

from tests.bench.handover.pauses import Change, Claim, pauses

CHANGE = Change("w2 joins", 10.0, 20.0, anew=None)
EVENTS = {0: [9.0, 11.0, 14.5, 19.0]}


def claims(*made: tuple[float, str]) -> dict[int, list[Claim]]:
    return {0: [Claim(at, worker) for at, worker in made]}


def test_a_partition_that_another_worker_claimed_has_moved() -> None:
    found = pauses(EVENTS, claims((1.0, "w1"), (12.0, "w2")), CHANGE)
    assert (found.moved, found.unmoved) == ({0: 4.5}, {})


def test_a_partition_that_its_worker_claimed_once_more_has_not_moved() -> None:
    found = pauses(EVENTS, claims((1.0, "w1"), (12.0, "w1")), CHANGE)
    assert (found.moved, found.unmoved) == ({}, {0: 4.5})


def test_a_partition_that_a_new_process_of_the_same_name_claimed_has_moved() -> None:
    found = pauses(EVENTS, claims((1.0, "w1"), (12.0, "w1")), CHANGE._replace(anew="w1"))
    assert found.moved == {0: 4.5}


def test_claims_outside_the_changes_time_say_nothing_of_it() -> None:
    found = pauses(EVENTS, claims((1.0, "w1"), (9.0, "w2"), (21.0, "w1")), CHANGE)
    assert found.unmoved == {0: 4.5}


def test_a_pause_that_began_before_the_change_or_ends_after_it_counts() -> None:
    assert pauses({0: [8.0, 15.0, 19.0]}, {}, CHANGE).unmoved == {0: 7.0}
    assert pauses({0: [9.5, 12.0]}, {}, CHANGE).unmoved == {0: 8.0}
    assert pauses({0: []}, {}, CHANGE).unmoved == {0: 10.0}
