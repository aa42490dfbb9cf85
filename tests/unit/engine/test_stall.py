"""A recovery that stands still ends the worker, and the message says where."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import count

import pytest

from streams.engine.stall import CLOSED_BOUNDS, LOOKS, NAMED_MAX, StallWatch, stays
from streams.errors import RecoveryStalled
from streams.metrics.rebuild import PartitionProgress
from tests.support.waiting import DEADLINE_S


class Recovery:
    """How far partitions are, as a test says."""

    def __init__(self) -> None:
        self.progress: list[PartitionProgress] | None = []
        self.opened = True

    def at(self, position: int, target: int | None = 100, partition: int = 0, *, served: bool = False) -> None:
        rest = [each for each in self.progress or [] if each.partition != partition]
        self.progress = [*rest, PartitionProgress(partition, served, position, target, float(position))]

    def partitions(self) -> Sequence[PartitionProgress] | None:
        return self.progress


@pytest.fixture
def recovery() -> Recovery:
    return Recovery()


@pytest.fixture
def watch(recovery: Recovery) -> StallWatch:
    return StallWatch(recovery, 20.0, lambda: recovery.opened)


def _look(watch: StallWatch, times: int = LOOKS) -> None:
    """Look as often as it takes for the bound to pass, but for one look."""
    for _ in range(times):
        watch.look()


def test_a_recovery_that_stands_still_ends_with_its_position_and_target(recovery: Recovery, watch: StallWatch) -> None:
    recovery.at(40, 90)
    _look(watch)
    with pytest.raises(RecoveryStalled, match=r"^nothing moved for 20 s: partition 0 is at offset 40 of 90$"):
        watch.look()


def test_a_worker_that_owns_everything_and_reads_nothing_ends_in_twice_the_time(
    recovery: Recovery, watch: StallWatch
) -> None:
    recovery.at(40, None, served=True)
    _look(watch, 10 * LOOKS)
    recovery.opened = False
    _look(watch, CLOSED_BOUNDS * LOOKS)
    with pytest.raises(RecoveryStalled, match="partition 0 is owned at offset 40, and its commands are not read"):
        watch.look()


def test_every_partition_that_waits_is_named(recovery: Recovery, watch: StallWatch) -> None:
    recovery.at(40, 90)
    recovery.at(-1, None, 1)
    recovery.at(7, 7, 2)
    recovery.at(5, 5, 3, served=True)
    _look(watch)
    with pytest.raises(RecoveryStalled) as stalled:
        watch.look()
    assert str(stalled.value).partition(": ")[2].split("; ") == [
        "partition 0 is at offset 40 of 90",
        "partition 1 is at offset -1, and its end is not known",
        "partition 2 is folded up to offset 7 and not owned",
    ]


def test_a_message_names_a_bounded_number_of_partitions(recovery: Recovery, watch: StallWatch) -> None:
    for partition in range(NAMED_MAX + 3):
        recovery.at(1, 2, partition)
    _look(watch)
    with pytest.raises(RecoveryStalled, match=r"; and 3 more$"):
        watch.look()


@pytest.mark.parametrize("what", ["position", "target", "another partition", "a partition more"])
def test_whatever_moves_begins_the_time_anew(recovery: Recovery, watch: StallWatch, what: str) -> None:
    recovery.at(40)
    recovery.at(7, 100, 1)
    _look(watch)
    match what:
        case "position":
            recovery.at(41)
        case "target":
            recovery.at(40, 101)
        case "another partition":
            recovery.at(8, 100, 1)
        case "a partition more":
            recovery.at(0, 100, 2)
    _look(watch)
    with pytest.raises(RecoveryStalled):
        _look(watch, 2)


@pytest.mark.parametrize("progress", [None, [], [PartitionProgress(0, True, 5, None, None)]])
def test_where_nothing_is_recovered_nothing_stands_still(
    recovery: Recovery, watch: StallWatch, progress: list[PartitionProgress] | None
) -> None:
    recovery.progress = progress
    _look(watch, 5 * LOOKS)


async def test_it_looks_by_itself(recovery: Recovery) -> None:
    recovery.at(40)
    with pytest.raises(RecoveryStalled):
        await asyncio.wait_for(StallWatch(recovery, 0.1, lambda: True).run(), DEADLINE_S)


async def test_what_stays_as_it_is_for_a_while_is_looked_at_many_times_so_that_time_of_a_freeze_is_one_look() -> None:
    looks = count()
    assert await stays(lambda: next(looks) >= 0, bound_s=0.02)
    assert next(looks) == LOOKS


async def test_what_changes_meanwhile_does_not_stay() -> None:
    looks = count()
    assert not await stays(lambda: next(looks) < 3, bound_s=0.02)
    assert next(looks) == 4
