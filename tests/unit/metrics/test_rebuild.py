from __future__ import annotations

from streams.metrics.rebuild import RATE_WINDOW_S, PartitionProgress, Rebuild, is_ready


class Group:
    """What a worker's group, log and clock say."""

    def __init__(self) -> None:
        self.assigned: set[int] | None = None
        self.served: set[int] = set()
        self.positions: dict[int, int] = {}
        self.targets: dict[int, int] = {}
        self.seconds = 0.0
        self.rebuild = Rebuild(
            assigned=lambda: self.assigned,
            served=lambda: self.served,
            position=lambda partition: self.positions.get(partition, -1),
            target=self.target,
            clock=lambda: self.seconds,
        )

    def target(self, partition: int) -> int | None:
        return self.targets.get(partition)

    def only(self) -> PartitionProgress:
        partitions = self.rebuild.partitions()
        assert partitions is not None
        (partition,) = partitions
        return partition


def test_a_worker_without_an_assignment_is_not_ready() -> None:
    group = Group()
    assert group.rebuild.partitions() is None
    assert not is_ready(group.rebuild.partitions())


def test_a_worker_to_which_no_partition_is_assigned_is_ready() -> None:
    group = Group()
    group.assigned = set()
    assert group.rebuild.partitions() == []
    assert is_ready(group.rebuild.partitions())


def test_a_worker_is_ready_once_every_assigned_partition_is_served() -> None:
    group = Group()
    group.assigned, group.served, group.positions = {1, 0}, {0}, {0: 5, 1: 2}
    partitions = group.rebuild.partitions()
    assert [(each.partition, each.served) for each in partitions or ()] == [(0, True), (1, False)]
    assert not is_ready(partitions)
    group.served = {0, 1, 2}
    assert is_ready(group.rebuild.partitions())


def test_a_partition_that_is_rebuilt_says_how_far_it_is_and_how_fast_it_goes() -> None:
    group = Group()
    group.assigned, group.targets = {3}, {3: 1000}
    assert group.only() == PartitionProgress(3, served=False, position=-1, target=1000, rate=None)
    group.seconds, group.positions[3] = 2.0, 199
    assert group.only() == PartitionProgress(3, served=False, position=199, target=1000, rate=100.0)
    assert group.only().left == 801


def test_a_target_that_is_not_known_yet_leaves_open_what_is_left() -> None:
    group = Group()
    group.assigned = {3}
    assert (group.only().target, group.only().left) == (None, None)


def test_a_position_beyond_the_target_leaves_nothing() -> None:
    group = Group()
    group.assigned, group.targets, group.positions = {3}, {3: 10}, {3: 12}
    assert group.only().left == 0


def test_a_rate_forgets_what_is_long_past() -> None:
    group = Group()
    group.assigned = {3}
    for _ in range(4):
        group.only()
        group.seconds += RATE_WINDOW_S
        group.positions[3] = group.positions.get(3, -1) + 1000
    for _ in range(3):
        group.only()
        group.seconds += RATE_WINDOW_S
    assert group.only().rate == 0


def test_a_rebuild_that_begins_again_is_not_slower_than_nothing() -> None:
    group = Group()
    group.assigned, group.positions = {3}, {3: 500}
    group.only()
    group.seconds, group.positions[3] = 1.0, 20
    assert group.only().rate is None
    group.seconds, group.positions[3] = 2.0, 50
    assert group.only().rate == 30


def test_a_partition_that_comes_back_is_looked_at_anew() -> None:
    group = Group()
    group.assigned = {3}
    group.only()
    group.assigned = None
    assert group.rebuild.partitions() is None
    group.assigned, group.seconds, group.positions = {3}, 60.0, {3: 40}
    assert group.only().rate is None


def test_a_served_partition_has_neither_target_nor_rate() -> None:
    group = Group()
    group.assigned, group.served, group.positions, group.targets = {3}, {3}, {3: 7}, {3: 7}
    group.only()
    group.seconds = 1.0
    assert group.only() == PartitionProgress(3, served=True, position=7, target=None, rate=None)
