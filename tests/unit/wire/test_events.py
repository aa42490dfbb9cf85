from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from statemachine import TenantState
from statemachine.events import Claimed, ConnectPaused, ConnectRequested, DatabaseLost, Event, TenantEventData
from streams.errors import LogCorrupt
from streams.wire.event import Origin, decode_event, encode_claim, encode_event, hash_of, source_of
from tests.unit.wire.values import claims, origins, payloads, states, times

PLACE: Final = "connect.local.events:0:7"
NOW: Final = datetime(2030, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
ORIGIN: Final = Origin(source_of("local", 0), 3, "c1", 9)


def _body(data: TenantEventData | None = None, state: TenantState | None = None) -> bytes:
    payload = data or ConnectRequested("us-east-1", "local", "é")
    return encode_event(state or TenantState("t1"), payload, NOW, ORIGIN)[1]


@given(state=states, data=payloads, time=times, origin=origins)
@example(state=TenantState("t1"), data=ConnectPaused(until=NOW), time=NOW, origin=ORIGIN)
@example(state=TenantState("t1"), data=DatabaseLost(NOW + timedelta(hours=1)), time=NOW, origin=ORIGIN)
def test_an_event_that_was_written_reads_the_same(
    state: TenantState, data: TenantEventData, time: datetime, origin: Origin
) -> None:
    event, body = encode_event(state, data, time, origin)
    assert decode_event(body, PLACE) == event
    assert event.hash == hash_of(body)
    assert (event.sequence, event.previous_hash) == (state.sequence + 1, state.hash)


@given(claims, times)
def test_a_claim_that_was_written_reads_the_same(claim: Claimed, time: datetime) -> None:
    body = encode_claim(claim, source=source_of("local", 3), time=time)
    assert decode_event(body, PLACE) == claim
    assert msgspec.json.decode(body)["hash"] == hash_of(body)


@given(state=states, data=payloads, origin=origins, chance=st.data())
def test_no_byte_of_an_event_can_be_changed_unseen(
    state: TenantState, data: TenantEventData, origin: Origin, chance: st.DataObject
) -> None:
    _, body = encode_event(state, data, NOW, origin)
    place = chance.draw(st.integers(0, len(body) - 1))
    other = chance.draw(st.integers(1, 255))
    assert not _passes(_flipped(body, place, other))


@pytest.mark.parametrize("mask", [0x01, 0x20, 0x80])
def test_each_single_byte_of_an_event_is_covered_by_its_hash(mask: int) -> None:
    body = _body()
    assert _passes(body)
    assert [place for place in range(len(body)) if _passes(_flipped(body, place, mask))] == []


@pytest.mark.parametrize("mask", [0x01, 0x20, 0x80])
def test_each_single_byte_of_a_claim_is_covered_by_its_hash(mask: int) -> None:
    body = encode_claim(Claimed("w1", 4, 1), source=source_of("local", 0), time=NOW)
    passing = [place for place in range(len(body)) if _sealed(_flipped(body, place, mask))]
    assert passing == []


def test_the_chain_binds_an_event_to_the_one_before() -> None:
    first, _ = encode_event(TenantState("t1"), ConnectRequested(), NOW, ORIGIN)
    second, _ = encode_event(TenantState("t1", sequence=1, hash=first.hash), ConnectRequested(), NOW, ORIGIN)
    other, _ = encode_event(TenantState("t1", sequence=1, hash="0" * 32), ConnectRequested(), NOW, ORIGIN)
    assert second.previous_hash == first.hash
    assert second.hash != other.hash


@given(st.binary(max_size=400))
@example(b"")
@example(b"null")
@example(b"[]")
@example(b"\xff")
def test_random_bytes_are_a_corrupt_log_and_nothing_else(value: bytes) -> None:
    with pytest.raises(LogCorrupt, match=PLACE):
        decode_event(value, PLACE)


@given(st.data())
def test_a_truncated_event_is_a_corrupt_log(chance: st.DataObject) -> None:
    body = _body()
    length = chance.draw(st.integers(0, len(body) - 1))
    with pytest.raises(LogCorrupt, match=PLACE):
        decode_event(body[:length], PLACE)


@given(st.data())
def test_a_mangled_event_is_read_or_a_corrupt_log(chance: st.DataObject) -> None:
    body = _body(DatabaseLost(NOW, "code", "message"))
    place = chance.draw(st.integers(0, len(body)))
    put = chance.draw(st.binary(max_size=8))
    cut = chance.draw(st.integers(0, 8))
    with suppress(LogCorrupt):
        decode_event(body[:place] + put + body[place + cut :], PLACE)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "empty"),
        (b'{"specversion":"1.0","type":"connect.invented","time":"2030-01-01T00:00:00Z","data":{}}', "invented"),
        (b'{"specversion":"1.0","type":"connect.resumed","time":"2030-01-01T00:00:00Z","data":{}}', "subject"),
        (b'{"specversion":"1.0","type":"connect.resumed","time":"later","data":{}}', "not an event"),
        (b'{"specversion":"1.0","type":"connect.claimed","time":"2030-01-01T00:00:00Z","data":{}}', "worker"),
    ],
)
def test_what_is_no_event_is_named_with_its_place(value: bytes | None, said: str) -> None:
    with pytest.raises(LogCorrupt, match=PLACE) as raised:
        decode_event(value, PLACE)
    assert said in str(raised.value)


def test_an_event_nested_beyond_reason_is_a_corrupt_log() -> None:
    with pytest.raises(LogCorrupt, match=PLACE):
        decode_event(b'{"x":' + b"[" * 100_000, PLACE)


def test_members_that_a_newer_version_added_are_passed_over() -> None:
    body = _body()
    assert isinstance(decode_event(b'{"traceparent":"00-1",' + body[1:], PLACE), Event)


def _flipped(body: bytes, place: int, mask: int) -> bytes:
    return body[:place] + bytes([body[place] ^ mask]) + body[place + 1 :]


def _passes(body: bytes) -> bool:
    """Whether a reader would take these bytes for an event with the right hash."""
    try:
        read = decode_event(body, PLACE)
    except LogCorrupt:
        return False
    return isinstance(read, Event) and read.hash == hash_of(body)


def _sealed(body: bytes) -> bool:
    try:
        decode_event(body, PLACE)
        return bool(msgspec.json.decode(body).get("hash") == hash_of(body))
    except (LogCorrupt, msgspec.DecodeError, UnicodeDecodeError):
        return False
