"""A snapshot and the tail behind it are the same as the whole log, at any offset and for any history."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.snapshots.shelf import Shelf
from streams.snapshots.store import Store
from tests.unit.snapshots.logs import TOPIC, everything, fill, folded, folded_on, load, snapshot_at
from tests.unit.statemachine.histories import MODEST, Ask, Take, courses, log_of

offsets = st.lists(st.integers(0, 60), min_size=1, max_size=6)
numbers = count()

UNDISTURBED = settings(
    MODEST, suppress_health_check=[*MODEST.suppress_health_check, HealthCheck.function_scoped_fixture]
)
"""The fixture that makes batches small is the same for every example."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One store for all examples; each takes a partition of its own."""
    store = Store(Path(tmp_path_factory.mktemp("snapshots")) / "store")
    store.open()
    yield store
    store.close()


@MODEST
@given(courses, offsets)
def test_a_snapshot_and_the_tail_are_the_whole_log(store: Store, course: list[Ask | Take], where: list[int]) -> None:
    records = log_of(course)
    partition, shelf = next(numbers), Shelf(store, TOPIC)
    for offset in sorted({min(offset, len(records) - 1) for offset in where}):
        fill(shelf, snapshot_at(records, offset, partition))
        found = load(shelf, records, partition)
        assert found is not None
        assert everything(found) == everything(folded(records[: offset + 1], partition))
        assert everything(folded_on(found, records)) == everything(folded(records, partition))


@MODEST
@given(courses, offsets)
def test_workers_that_go_on_from_one_another_s_snapshots_come_to_the_same_end(
    store: Store, course: list[Ask | Take], where: list[int]
) -> None:
    records = log_of(course)
    partition = next(numbers)
    ends = [-1, *sorted({min(offset, len(records) - 1) for offset in where}), len(records) - 1]
    for _, end in pairwise(ends):
        shelf = Shelf(store, TOPIC)
        state = load(shelf, records, partition) or folded([], partition)
        folded_on(state, records[: end + 1])
        fill(shelf, snapshot_at(records, end, partition)._replace(tenants=state.tenants, void=state.void))
    found = load(Shelf(store, TOPIC), records, partition)
    assert found is not None
    assert everything(found) == everything(folded(records, partition))


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot of two tenants takes three batches."""
    monkeypatch.setattr("streams.snapshots.shelf.BATCH_STATES_MAX", 1)


@UNDISTURBED
@given(courses, offsets, st.lists(st.integers(0, 3), min_size=6, max_size=6))
@pytest.mark.usefixtures("small_batches")
def test_a_snapshot_that_is_given_up_half_way_leaves_the_one_before(
    store: Store, course: list[Ask | Take], where: list[int], batches: list[int]
) -> None:
    records = log_of(course)
    partition, shelf = next(numbers), Shelf(store, TOPIC)
    whole = -1
    for offset, bound in zip(sorted({min(offset, len(records) - 1) for offset in where}), batches, strict=False):
        filling = shelf.fill(snapshot_at(records, offset, partition))
        assert filling is not None
        if any(filling.step() for _ in range(bound)):
            shelf.was_filled(filling)
            whole = offset
        found = load(Shelf(store, TOPIC), records, partition) or folded([], partition)
        assert everything(found) == everything(folded(records[: whole + 1], partition))
