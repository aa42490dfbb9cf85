from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from streams.errors import RecordUnreadable
from streams.wire.broadcast import Broadcast, decode_broadcast, encode_broadcast
from streams.wire.lsn import LSN_MAX, lsn_text

PLACE: Final = "connect.local.broadcasts:0:7"
AN_ID: Final = "7f3c0a52-93a1-4a0e-8a39-0d3e7c1b2f10"
JSON: Final = Broadcast(
    "t1", "room:1", "e", True, AN_ID, datetime(2030, 1, 1, tzinfo=UTC), "16/B374D848", 0, 3, Raw(b'{"a": 1}')
)
BYTES: Final = msgspec.structs.replace(JSON, payload=UNSET, payload_base64=b"\x00\x01")

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def broadcasts(draw: st.DrawFn) -> Broadcast:
    payload = Raw(json.dumps(draw(json_values)).encode())
    content = draw(st.binary(max_size=60))
    json_or_bytes: tuple[Any, Any] = draw(st.sampled_from([(payload, UNSET), (UNSET, content)]))
    return Broadcast(
        draw(texts),
        draw(texts),
        draw(texts),
        draw(st.booleans()),
        draw(st.uuids().map(str)),
        draw(st.datetimes(timezones=st.just(UTC))),
        lsn_text(draw(st.integers(0, LSN_MAX))),
        draw(st.integers(0, 2**31)),
        draw(st.integers(0, 2**62)),
        *json_or_bytes,
    )


@settings(deadline=None)
@given(broadcasts())
def test_a_broadcast_reads_as_it_was_written(broadcast: Broadcast) -> None:
    assert decode_broadcast(encode_broadcast(broadcast), PLACE) == broadcast


@settings(deadline=None)
@given(broadcasts())
def test_a_broadcast_is_json_with_the_members_of_the_contract(broadcast: Broadcast) -> None:
    record = json.loads(encode_broadcast(broadcast))
    named = {"tenant", "topic", "event", "private", "id", "inserted_at", "lsn", "ordinal", "claim"}
    assert set(record) in (named | {"payload"}, named | {"payload_base64"})
    assert record["inserted_at"].endswith("Z")


def test_the_payload_is_passed_on_as_it_came() -> None:
    odd = Raw(b'{"b":1,  "a":1.0e2, "a":"\\u0041"}')
    found = decode_broadcast(encode_broadcast(msgspec.structs.replace(JSON, payload=odd)), PLACE)
    assert found.payload == odd


def test_bytes_are_base64_on_the_wire() -> None:
    assert json.loads(encode_broadcast(BYTES))["payload_base64"] == "AAE="


def test_a_member_that_a_newer_version_adds_is_passed_over() -> None:
    record = encode_broadcast(JSON)[:-1] + b',"new":1}'
    assert decode_broadcast(record, PLACE) == JSON


@pytest.mark.parametrize(
    "name", ["tenant", "topic", "event", "private", "id", "inserted_at", "lsn", "ordinal", "claim"]
)
def test_a_broadcast_without_one_of_its_members_is_unreadable(name: str) -> None:
    record = json.loads(encode_broadcast(JSON))
    del record[name]
    with pytest.raises(RecordUnreadable, match=name):
        decode_broadcast(json.dumps(record).encode(), PLACE)


@pytest.mark.parametrize(
    "changed",
    [
        {"lsn": "nowhere"},
        {"ordinal": -1},
        {"claim": -1},
        {"private": 1},
        {"inserted_at": "yesterday"},
        {"payload_base64": "AAE="},
        {"payload_base64": "*"},
        {"payload_base64": None},
    ],
)
def test_a_broadcast_with_a_bad_member_is_unreadable(changed: dict[str, Any]) -> None:
    record = {**json.loads(encode_broadcast(JSON)), **changed}
    with pytest.raises(RecordUnreadable, match=PLACE):
        decode_broadcast(json.dumps(record).encode(), PLACE)


@pytest.mark.parametrize(
    "value", [None, b"", b"{}", b"[]", b"\xff", b'{"tenant":"\xff"}', b'{"payload":' + b"[" * 100_000]
)
def test_what_is_no_broadcast_is_unreadable(value: bytes | None) -> None:
    with pytest.raises(RecordUnreadable, match=PLACE):
        decode_broadcast(value, PLACE)


def test_a_broadcast_without_a_payload_is_unreadable() -> None:
    record = json.loads(encode_broadcast(JSON))
    del record["payload"]
    with pytest.raises(RecordUnreadable, match="either payload or payload_base64"):
        decode_broadcast(json.dumps(record).encode(), PLACE)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_unreadable_and_nothing_else(value: bytes) -> None:
    with pytest.raises(RecordUnreadable):
        decode_broadcast(value, PLACE)


@settings(deadline=None)
@given(broadcasts(), st.data())
def test_a_broadcast_with_a_changed_byte_is_read_or_unreadable(broadcast: Broadcast, chance: st.DataObject) -> None:
    record = bytearray(encode_broadcast(broadcast))
    record[chance.draw(st.integers(0, len(record) - 1))] ^= chance.draw(st.integers(1, 255))
    try:
        found = decode_broadcast(bytes(record), PLACE)
    except RecordUnreadable:
        return
    assert isinstance(found, Broadcast)
