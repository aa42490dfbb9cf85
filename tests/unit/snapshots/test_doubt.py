"""Whatever happens to what is stored: it is in doubt, or it is the state that was written. Never another one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.state import TenantState
from streams.snapshots import encoding
from streams.snapshots.doubt import Doubt
from streams.snapshots.encoding import FORMAT, Heading, Place, StateCodec, decode_heading, encode_heading, record_hash
from streams.snapshots.loading import compare
from streams.snapshots.shelf import Shelf
from streams.snapshots.store import Store
from streams.snapshots.version import version
from tests.unit.snapshots.logs import TOPIC, Life, contents, everything, fill, folded, load, read_out, snapshot_at
from tests.unit.statemachine.histories import MODEST


def _life() -> Life:
    life = Life()
    life.claimed()
    for tenant in ("t1", "t2", "t1", "t3"):
        life.happens(tenant)
    return life


LIFE = _life()
OLD, NEW = 2, 4
"""Offsets of the snapshots in slots 0 and 1."""


def _write(store: Store) -> Shelf:
    """Two snapshots of partition 0, and one of partition 1."""
    store.write([], clear=[(b"", b"\xff" * 16)])
    shelf = Shelf(store, TOPIC)
    for offset in (OLD, NEW):
        fill(shelf, snapshot_at(LIFE.records, offset))
    fill(shelf, snapshot_at(LIFE.records, NEW, 1))
    return Shelf(store, TOPIC)


def _newest(shelf: Shelf) -> Place:
    return shelf.places(0)[1]


def _doubt(shelf: Shelf, place: Place) -> str:
    """Why the snapshot in a slot is not used."""
    with pytest.raises(Doubt) as doubt:
        _read(shelf, place)
    return str(doubt.value)


def _read(shelf: Shelf, place: Place) -> None:
    heading = shelf.heading(place)
    assert heading is not None
    read_out(shelf.read(place, heading))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = Store(Path(tmp_path_factory.mktemp("snapshots")) / "store")
    store.open()
    yield store
    store.close()


@pytest.fixture
def shelf(store: Store) -> Shelf:
    return _write(store)


@MODEST
@given(st.data())
def test_a_damaged_record_never_becomes_a_wrong_state(store: Store, data: st.DataObject) -> None:
    shelf = _write(store)
    stored = contents(store)
    key = data.draw(st.sampled_from(sorted(stored)), "key")
    value = bytearray(stored[key])
    match data.draw(st.sampled_from(["flip", "cut", "lose", "swap", "move"]), "damage"):
        case "flip":
            value[data.draw(st.integers(0, len(value) - 1))] ^= data.draw(st.integers(1, 255))
            store.write([(key, bytes(value))])
        case "cut":
            store.write([(key, bytes(value[: data.draw(st.integers(0, len(value) - 1))]))])
        case "lose":
            store.write([], drop=[key])
        case "swap":
            other = data.draw(st.sampled_from(sorted(stored)))
            store.write([(key, stored[other]), (other, stored[key])])
        case "move":
            store.write([(key + b"x", stored[key])])
    found = load(shelf, LIFE.records)
    assert found is None or everything(found) in {
        everything(folded(LIFE.records[: offset + 1])) for offset in (OLD, NEW)
    }


def _flips(value: bytes) -> Iterator[bytes]:
    """The value with each of its bits flipped."""
    for index in range(len(value)):
        for bit in range(8):
            yield value[:index] + bytes([value[index] ^ 1 << bit]) + value[index + 1 :]


def test_no_flipped_bit_of_a_heading_goes_unnoticed(store: Store, shelf: Shelf) -> None:
    place = _newest(shelf)
    for value in _flips(contents(store)[place.heading]):
        with pytest.raises(Doubt):
            decode_heading(value, place)


def test_no_flipped_bit_of_a_state_goes_unnoticed(store: Store, shelf: Shelf) -> None:
    place = _newest(shelf)
    key, codec = place.states + b"t1", StateCodec(place)
    for value in _flips(contents(store)[key]):
        with pytest.raises(Doubt):
            codec.decode(key, value)


@pytest.mark.parametrize("other", [Place("other", 0, 0), Place(TOPIC, 1, 0), Place(TOPIC, 0, 1)])
def test_a_state_of_another_place_is_in_doubt(other: Place) -> None:
    own = Place(TOPIC, 0, 0)
    _, value = StateCodec(other).encode(TenantState("t1"))
    key, _ = StateCodec(own).encode(TenantState("t1"))
    with pytest.raises(Doubt, match="checksum"):
        StateCodec(own).decode(key, value)


def test_a_snapshot_in_doubt_gives_way_to_the_one_before(store: Store, shelf: Shelf) -> None:
    store.write([(_newest(shelf).heading, b"rubbish")])
    found = load(shelf, LIFE.records)
    assert found is not None
    assert everything(found) == everything(folded(LIFE.records[: OLD + 1]))


def test_a_state_that_is_missing_does_not_add_up(store: Store, shelf: Shelf) -> None:
    store.write([], drop=[_newest(shelf).states + b"t2"])
    assert _doubt(shelf, _newest(shelf)) == "it holds 2 tenants, and its heading says 3"


def test_a_state_of_the_snapshot_before_does_not_add_up(store: Store, shelf: Shelf) -> None:
    key = _newest(shelf).states + b"t1"
    before = contents(store)[key]
    for tenant in ("t1", "t2"):
        LIFE.happens(tenant)
        fill(shelf, snapshot_at(LIFE.records, len(LIFE.records) - 1))
    store.write([(key, before)])
    assert _doubt(shelf, _newest(shelf)).startswith("its tenants had ")
    del LIFE.records[NEW + 1 :]


def test_a_state_of_another_history_does_not_add_up(store: Store, shelf: Shelf) -> None:
    life = Life()
    life.claimed()
    life.claimed(7, "w9")
    for tenant in ("t2", "t1", "t3", "t1"):
        life.happens(tenant)
    stored = contents(store)
    place = _newest(shelf)
    foreign = Shelf(store, TOPIC)
    foreign.discard(place)
    foreign.discard(foreign.places(0)[0])
    for offset in (4, 5):
        fill(foreign, snapshot_at(life.records, offset))
    store.write([(place.heading, stored[place.heading])])
    assert "not those" in _doubt(shelf, place)


def test_another_version_s_snapshot_is_named_so(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    place = _newest(shelf)
    with monkeypatch.context() as patched:
        patched.setattr(encoding, "version", lambda: "0" * 32)
        assert _doubt(shelf, place).startswith("another version of this program wrote it")
    assert load(shelf, LIFE.records) is not None


def test_a_newer_format_is_named_so(store: Store, shelf: Shelf) -> None:
    place = _newest(shelf)
    value = contents(store)[place.heading]
    for found, words in ((FORMAT + 1, "newer"), (FORMAT - 1, "any more")):
        store.write([(place.heading, found.to_bytes(2) + value[2:])])
        assert words in _doubt(shelf, place)


def test_another_topic_s_snapshot_is_foreign(shelf: Shelf) -> None:
    place = _newest(shelf)._replace(topic="other.events")
    assert _doubt(shelf, place) == f"it is foreign: of {TOPIC}:0, not of other.events:0"


def test_a_heading_that_contradicts_the_log_s_arithmetic_is_in_doubt(store: Store, shelf: Shelf) -> None:
    place = _newest(shelf)
    heading = shelf.heading(place)
    assert heading is not None
    store.write([(place.heading, encode_heading(msgspec.structs.replace(heading, folded=2), place))])
    assert _doubt(shelf, place) == "it has 4 events and 0 void records up to offset 2"


def _heading(folded_to: int, last: bytes) -> Heading:
    return Heading(version(), TOPIC, 0, folded_to, record_hash(last), None, -1, {}, 0, 0, 0, 0)


def test_a_snapshot_is_of_a_log_that_has_its_last_record() -> None:
    compare(_heading(7, b"record"), b"record")


@pytest.mark.parametrize(
    ("value", "words"), [(b"another", "another record at offset 7"), (None, "does not reach so far")]
)
def test_a_snapshot_of_another_log_is_in_doubt(value: bytes | None, words: str) -> None:
    with pytest.raises(Doubt, match=words):
        compare(_heading(7, b"record"), value)
