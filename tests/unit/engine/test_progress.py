from __future__ import annotations

from random import Random
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from streams.engine.progress import Progress

HERE: Final = ("connect.local.commands", 0)
THERE: Final = ("connect.local.commands", 1)


def test_where_nothing_was_done_nothing_is_committed() -> None:
    progress = Progress()
    progress.begin(HERE, 9)
    assert progress.committable(HERE) is None
    assert list(progress.places()) == []
    assert progress.running(HERE) == 1


def test_the_record_after_the_last_one_done_is_committed() -> None:
    progress = Progress()
    progress.begin(HERE, 9)
    progress.finish(HERE, 9)
    assert progress.committable(HERE) == 10
    assert list(progress.places()) == [HERE]
    assert progress.running(HERE) == 0


def test_a_run_done_out_of_turn_waits_for_the_one_before() -> None:
    progress = Progress()
    progress.begin(HERE, 4)
    progress.begin(HERE, 9)
    progress.finish(HERE, 9)
    assert progress.committable(HERE) is None
    assert progress.running(HERE) == 2
    progress.finish(HERE, 4)
    assert progress.committable(HERE) == 10
    assert progress.running(HERE) == 0


def test_partitions_are_told_apart() -> None:
    progress = Progress()
    progress.begin(HERE, 4)
    progress.begin(THERE, 7)
    progress.finish(THERE, 7)
    assert (progress.committable(HERE), progress.committable(THERE)) == (None, 8)


def test_a_run_that_was_never_begun_does_not_count() -> None:
    progress = Progress()
    progress.finish(HERE, 4)
    assert progress.committable(HERE) is None


def test_a_run_forgotten_meanwhile_does_not_count() -> None:
    progress = Progress()
    progress.begin(HERE, 4)
    progress.begin(THERE, 7)
    progress.reset([HERE])
    progress.finish(HERE, 4)
    progress.finish(THERE, 7)
    assert (progress.committable(HERE), progress.committable(THERE)) == (None, 8)


def test_what_was_done_before_a_reset_is_not_committed_again() -> None:
    progress = Progress()
    progress.begin(HERE, 4)
    progress.finish(HERE, 4)
    progress.reset([HERE])
    assert progress.committable(HERE) is None
    assert progress.running(HERE) == 0


@given(st.lists(st.integers(1, 5), min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_a_commit_never_passes_a_run_that_is_not_done(sizes: list[int], chance: Random) -> None:
    progress = Progress()
    ends: list[int] = []
    for size in sizes:
        ends.append((ends[-1] if ends else -1) + size)
        progress.begin(HERE, ends[-1])
    order = ends.copy()
    chance.shuffle(order)
    done: set[int] = set()
    for last in order:
        progress.finish(HERE, last)
        done.add(last)
        reached = [end for number, end in enumerate(ends) if done.issuperset(ends[: number + 1])]
        assert progress.committable(HERE) == (reached[-1] + 1 if reached else None)
    assert progress.running(HERE) == 0
