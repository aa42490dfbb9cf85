from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from statemachine.commands import COMMAND_TYPES, Connect, PauseTenant
from statemachine.events import CommandPlace
from statemachine.limits import COMMAND_ID_LENGTH_MAX, TENANT_ID_LENGTH_MAX, TEXT_LENGTH_MAX
from streams.wire.command import ReplyTo, Request, Unreadable, decode_command, encode_command
from tests.unit.wire.values import requests

PLACE: Final = "connect.commands:0:7"
SIZE_MAX: Final = 100_000
HERE: Final = ReplyTo("connect.replies", 2)


def _read(value: bytes | None, key: bytes | None = b"t1", *, forwarded: bool = False) -> Request:
    return decode_command(key, value, PLACE, value_bytes_max=SIZE_MAX, forwarded=forwarded)


def _command(**fields: Any) -> bytes:
    address = {"topic": HERE.topic, "partition": HERE.partition}
    whole = {"type": "connect", "id": "c1", "reply_to": address, **fields}
    return json.dumps(whole).encode()


def _refused(value: bytes | None, key: bytes | None = b"t1") -> Unreadable:
    with pytest.raises(Unreadable) as raised:
        _read(value, key)
    assert raised.value.error.code == "invalid_command"
    return raised.value


@given(requests)
def test_a_command_that_was_written_reads_the_same(request: Request) -> None:
    assert _read(encode_command(request), request.tenant.encode(), forwarded=True) == request


def test_only_the_router_says_where_a_command_comes_from() -> None:
    origin = CommandPlace(3, 14)
    body = encode_command(Request("c1", "t1", Connect(), HERE, origin))
    assert _read(body, forwarded=True).origin == origin
    refused = _refused(body)
    assert "origin" in str(refused)
    assert (refused.id, refused.reply_to) == ("c1", HERE)


@pytest.mark.parametrize("kind", COMMAND_TYPES)
def test_the_smallest_command_has_a_type_and_is_named_by_its_place(kind: str) -> None:
    assert _read(json.dumps({"type": kind}).encode()) == Request(PLACE, "t1", COMMAND_TYPES[kind](), None)


def test_data_may_be_left_out_empty_or_partly_given() -> None:
    assert _read(_command(data={})).command == _read(_command()).command == Connect()
    assert _read(_command(data={"timeout_ms": 5})).command == Connect(timeout_ms=5)


def test_a_command_may_name_its_tenant_and_when_it_was_asked() -> None:
    assert _read(_command(tenant="t1", at="2030-01-01T00:00:00Z")).tenant == "t1"


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "explode"},
        {"type": ""},
        {"type": None},
        {"colour": "red"},
        {"tenant": "t2"},
        {"tenant": 7},
        {"at": "yesterday"},
        {"data": None},
        {"data": []},
        {"data": {"colour": "red"}},
        {"data": {"timeout_ms": -1}},
        {"data": {"timeout_ms": "15"}},
        {"data": {"timeout_ms": True}},
        {"data": {"wait": "for ever"}},
        {"data": {"requested_by": "x" * (TEXT_LENGTH_MAX + 1)}},
        {"type": "pause", "data": {"until": "2030-01-01T00:00:00"}},
        {"type": "pause", "data": {"until": 1893456000}},
        {"type": "shutdown", "data": {"reason": "bored"}},
    ],
    ids=str,
)
def test_a_command_that_breaks_the_contract_is_refused_to_the_one_who_asks(fields: dict[str, Any]) -> None:
    refused = _refused(_command(**fields))
    assert (refused.id, refused.reply_to) == ("c1", HERE)


@pytest.mark.parametrize(
    "fields",
    [
        {"id": ""},
        {"id": 7},
        {"id": "x" * (COMMAND_ID_LENGTH_MAX + 1)},
        {"reply_to": "connect.replies"},
        {"reply_to": {"topic": "connect.replies"}},
        {"reply_to": {"topic": "connect.replies", "partition": -1}},
        {"reply_to": {"topic": "connect.replies", "partition": 0, "key": "k"}},
    ],
    ids=str,
)
def test_an_id_or_address_that_cannot_be_read_is_not_guessed(fields: dict[str, Any]) -> None:
    refused = _refused(_command(**fields))
    assert refused.id is None or refused.reply_to is None


@pytest.mark.parametrize("value", [None, b"", b"null", b"[]", b'"connect"', b"{", b"connect", b"\xff\xfe", b"{}", b" "])
def test_what_is_no_command_at_all_is_refused(value: bytes | None) -> None:
    refused = _refused(value)
    assert (refused.id, refused.reply_to) == (None, None)


def test_a_value_of_the_limit_is_refused_and_one_byte_less_is_read() -> None:
    smallest = len(_command(at=None))
    padded = _command(at=None)[:-1] + b" " * (SIZE_MAX - smallest) + b"}"
    assert len(padded) == SIZE_MAX
    assert str(SIZE_MAX) in str(_refused(padded))
    assert _read(padded[:-2] + b"}").id == "c1"


@pytest.mark.parametrize(
    "key", [None, b"", b"\xff", b"x" * (TENANT_ID_LENGTH_MAX + 1)], ids=["none", "empty", "not UTF-8", "too long"]
)
def test_a_bad_key_is_refused_to_the_one_who_asks(key: bytes | None) -> None:
    refused = _refused(_command(), key)
    assert "key" in str(refused)
    assert (refused.id, refused.reply_to) == ("c1", HERE)


def test_the_longest_key_is_read() -> None:
    longest = "é" * TENANT_ID_LENGTH_MAX
    assert _read(_command(), longest.encode()).tenant == longest


@given(st.none() | st.binary(max_size=200), st.none() | st.binary(max_size=400))
@example(b"t1", b'{"type":"pause","data":' + b"[" * 50_000 + b"]" * 40_000 + b"}")
@example(b"t1", b'{"x":' + b"[" * 99_000)
@example(b"t1", b'{"type":"pause","data":{"reason":"\\ud800"}}')
@example(b"t1", b'{"type":"pause","data":{"reason":"\xff"}}')
def test_random_bytes_are_unreadable_and_nothing_else(key: bytes | None, value: bytes | None) -> None:
    with pytest.raises(Unreadable):
        _read(value, key)


@given(st.data())
def test_a_mangled_command_is_read_or_unreadable(chance: st.DataObject) -> None:
    body = _command(type="pause", tenant="t1", data={"reason": "r", "until": "2030-01-01T00:00:00Z"})
    place = chance.draw(st.integers(0, len(body)))
    put = chance.draw(st.binary(max_size=8))
    cut = chance.draw(st.integers(0, len(body)))
    try:
        read = _read(body[:place] + put + body[place + cut :])
    except Unreadable:
        return
    assert _read(encode_command(read)) == read


@pytest.mark.parametrize("until", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"])
def test_a_moment_at_the_edge_of_time_is_refused_or_can_be_written_and_read(until: str) -> None:
    try:
        read = _read(_command(type="pause", data={"until": until}))
    except Unreadable:
        return
    assert isinstance(read.command, PauseTenant)
    assert _read(encode_command(read)) == read
