"""Slots: what is written into which, how little, and what a half-written one leaves behind."""

from __future__ import annotations

import pytest

from streams.snapshots.doubt import StoreFailed
from streams.snapshots.encoding import Place
from streams.snapshots.shelf import BATCH_STATES_MAX, LOOKED_AT_MAX, READ_STATES_MAX, Filling, Shelf
from streams.snapshots.store import Store
from tests.unit.snapshots.logs import TOPIC, Life, everything, fill, folded, load, snapshot_at


def _life(*tenants: str) -> Life:
    life = Life()
    life.claimed()
    for tenant in tenants:
        life.happens(tenant)
    return life


def _begun(shelf: Shelf, life: Life, offset: int | None = None) -> Filling:
    filling = shelf.fill(snapshot_at(life.records, len(life.records) - 1 if offset is None else offset))
    assert filling is not None
    return filling


def test_a_partition_of_which_nothing_was_written_has_no_snapshot(shelf: Shelf) -> None:
    assert load(shelf, _life("t1").records) is None
    assert [shelf.heading(place) for place in shelf.places(0)] == [None, None]


def test_what_was_written_is_read(shelf: Shelf) -> None:
    life = _life("t1", "t2", "t1")
    fill(shelf, snapshot_at(life.records, 3))
    found = load(shelf, life.records)
    assert found is not None
    assert everything(found) == everything(folded(life.records))


def test_a_partition_with_claims_only_has_a_snapshot_without_tenants(shelf: Shelf) -> None:
    life = _life()
    life.claimed(2)
    fill(shelf, snapshot_at(life.records, 1))
    found = load(shelf, life.records)
    assert found is not None
    assert (found.folded, found.tenants, found.claim) == (1, {}, folded(life.records).claim)


def test_the_slots_take_turns_and_the_newest_is_read(shelf: Shelf) -> None:
    life = _life("t1", "t2", "t3", "t4")
    slots = []
    for offset in (1, 2, 3, 4):
        filling = fill(shelf, snapshot_at(life.records, offset))
        assert filling is not None
        slots.append(filling.place.slot)
        found = load(shelf, life.records)
        assert found is not None
        assert found.folded == offset
    assert slots == [0, 1, 0, 1]


def test_a_snapshot_that_is_not_newer_is_not_written(shelf: Shelf) -> None:
    life = _life("t1", "t2")
    fill(shelf, snapshot_at(life.records, 2))
    assert shelf.fill(snapshot_at(life.records, 2)) is None
    assert shelf.fill(snapshot_at(life.records, 1)) is None


def test_only_what_changed_since_the_slot_s_last_snapshot_is_written(shelf: Shelf) -> None:
    life = _life("t1", "t2", "t3")
    sizes = []
    for tenant in ("t1", "t1", "t2", "t2", "t3"):
        life.happens(tenant)
        filling = fill(shelf, snapshot_at(life.records, len(life.records) - 1))
        assert filling is not None
        sizes.append(filling.states)
    assert sizes == [3, 3, 2, 1, 2]
    found = load(shelf, life.records)
    assert found is not None
    assert everything(found) == everything(folded(life.records))


def test_what_was_read_need_not_be_written_again(store: Store, shelf: Shelf) -> None:
    life = _life("t1", "t2", "t3")
    fill(shelf, snapshot_at(life.records, 3))
    later = Shelf(store, TOPIC)
    assert load(later, life.records) is not None
    sizes = []
    for tenant in ("t1", "t2"):
        life.happens(tenant)
        filling = fill(later, snapshot_at(life.records, len(life.records) - 1))
        assert filling is not None
        sizes.append((filling.place.slot, filling.states))
    assert sizes == [(1, 3), (0, 2)]


def test_a_slot_of_which_nothing_is_known_is_cleared_first(store: Store, shelf: Shelf) -> None:
    life = _life("t1", "t2")
    fill(shelf, snapshot_at(life.records, 2))
    other = _life("t3")
    other.claimed(5)
    other.happens("t3")
    later = Shelf(store, TOPIC)
    for place in later.places(0):
        later.discard(place)
    for offset in (2, 3):
        fill(later, snapshot_at(other.records, offset))
    found = load(later, other.records)
    assert found is not None
    assert list(found.tenants) == ["t3"]


def test_what_is_left_of_a_snapshot_without_a_heading_is_cleared(store: Store, shelf: Shelf) -> None:
    life, other = _life("t1", "t2"), _life("t3", "t3", "t3")
    fill(shelf, snapshot_at(life.records, 2))
    store.write([], drop=[place.heading for place in shelf.places(0)])
    later = Shelf(store, TOPIC)
    fill(later, snapshot_at(other.records, 3))
    found = load(later, other.records)
    assert found is not None
    assert list(found.tenants) == ["t3"]


def test_what_somebody_else_wrote_into_a_slot_is_cleared(store: Store, shelf: Shelf) -> None:
    life, other = _life("t1", "t2", "t3", "t4", "t5"), _life("t8", "t9", "t8")
    for offset in (1, 2):
        fill(shelf, snapshot_at(life.records, offset))
    somebody = Shelf(store, TOPIC)
    fill(somebody, snapshot_at(other.records, 3))
    for offset in (4, 5):
        fill(shelf, snapshot_at(life.records, offset))
    found = load(Shelf(store, TOPIC), life.records)
    assert found is not None
    assert everything(found) == everything(folded(life.records))


def test_a_batch_that_could_not_be_written_is_written_again(store: Store, shelf: Shelf) -> None:
    life = _life("t1", "t2", "t3", "t4")
    for offset in (1, 2):
        fill(shelf, snapshot_at(life.records, offset))
    filling = shelf.fill(snapshot_at(life.records, 3))
    assert filling is not None
    store.close()
    with pytest.raises(StoreFailed):
        filling.step()
    store.open()
    fill(shelf, snapshot_at(life.records, 4))
    found = load(Shelf(store, TOPIC), life.records)
    assert found is not None
    assert everything(found) == everything(folded(life.records))


def test_names_that_begin_alike_are_all_read(store: Store, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.snapshots.shelf.READ_STATES_MAX", 1)
    life = _life("t", "tt", "t\x01", "t\xff", "ttt", "s", "u")
    fill(shelf, snapshot_at(life.records, 7))
    found = load(Shelf(store, TOPIC), life.records)
    assert found is not None
    assert everything(found) == everything(folded(life.records))


def test_a_half_written_snapshot_is_not_seen(store: Store, shelf: Shelf) -> None:
    life = _life(*(f"t{number}" for number in range(20)))
    fill(shelf, snapshot_at(life.records, 10))
    filling = _begun(shelf, life)
    store.write([filling._codec.encode(state) for state in list(filling.snapshot.tenants.values())[:5]])
    found = load(Shelf(store, TOPIC), life.records)
    assert found is not None
    assert found.folded == 10


def test_the_first_batch_takes_the_heading_away_and_the_last_brings_the_new_one(store: Store, shelf: Shelf) -> None:
    life = _life("t1")
    for offset in (0, 1):
        fill(shelf, snapshot_at(life.records, offset))
    life.claimed(2)
    tenant = folded(life.records).tenant("t1")
    many = {f"t{index}": tenant._replace(tenant=f"t{index}", hash=f"{index}") for index in range(BATCH_STATES_MAX + 1)}
    filling = shelf.fill(snapshot_at(life.records, 2)._replace(tenants=many))
    assert filling is not None
    assert store.get(filling.place.heading) is not None
    assert not filling.step()
    assert store.get(filling.place.heading) is None
    assert filling.step()
    assert store.get(filling.place.heading) is not None


@pytest.mark.parametrize("tenants", [0, 1, BATCH_STATES_MAX, READ_STATES_MAX, READ_STATES_MAX + 1, LOOKED_AT_MAX + 1])
def test_snapshots_of_any_size_are_written_in_bounded_batches(store: Store, shelf: Shelf, tenants: int) -> None:
    life = _life()
    blank = folded(life.records).tenant("t")
    many = {f"t{index:05}": blank._replace(tenant=f"t{index:05}", hash=f"{index:032x}") for index in range(tenants)}
    filling = shelf.fill(snapshot_at(life.records, 0)._replace(tenants=many))
    assert filling is not None
    steps = 1
    while not filling.step():
        assert len(filling._batch) <= BATCH_STATES_MAX
        steps += 1
    assert steps >= tenants / BATCH_STATES_MAX
    found = load(Shelf(store, TOPIC), life.records)
    assert found is not None
    assert found.tenants == many


def test_partitions_do_not_see_one_another(shelf: Shelf) -> None:
    life, other = _life("t1"), _life("t2", "t3")
    fill(shelf, snapshot_at(life.records, 1, 1))
    fill(shelf, snapshot_at(other.records, 2, 256))
    shelf.discard(Place(TOPIC, 1, 0))
    found = load(shelf, other.records, 256)
    assert found is not None
    assert list(found.tenants) == ["t2", "t3"]
    assert load(shelf, life.records, 1) is None
