"""A report as it is written, read and documented: three ways to say the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from statemachine.limits import TENANT_ID_LENGTH_MAX
from streams.contract.schemas import schemas
from streams.errors import InputInvalid
from streams.wire.users import (
    GATEWAY_LENGTH_MAX,
    TIME_TO_LIVE_MS,
    TIME_TO_LIVE_MS_MAX,
    USERS_MAX,
    ReadReport,
    UserReport,
    decode_report,
)

SCHEMA = Draft202012Validator(schemas()["user-report.json"])

names = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=3), st.just("g" * GATEWAY_LENGTH_MAX), st.just("g" * 129)
)
numbers = st.one_of(
    st.integers(-1, 2),
    st.sampled_from([TIME_TO_LIVE_MS_MAX, TIME_TO_LIVE_MS_MAX + 1, USERS_MAX, USERS_MAX + 1, 10**30]),
    st.none(),
    st.booleans(),
    st.just("1"),
    st.just(0.5),
)
records = st.fixed_dictionaries(
    {}, optional={"gateway": st.one_of(names, st.integers()), "users": numbers, "ttl_ms": numbers, "more": st.just(1)}
)


def understood(value: bytes) -> ReadReport | None:
    try:
        return decode_report(b"t1", value)[1]
    except InputInvalid:
        return None


@given(records)
def test_what_is_written_read_and_documented_is_the_same(record: dict[str, Any]) -> None:
    value = json.dumps(record, ensure_ascii=False).encode()
    read = understood(value)
    assert (read is not None) is SCHEMA.is_valid(record)
    try:
        written = UserReport.model_validate_json(value)
    except ValidationError:
        assert read is None
    else:
        assert read == ReadReport(**written.model_dump())


def test_a_report_holds_a_minute_where_it_does_not_say_how_long() -> None:
    assert decode_report(b"t1", b'{"gateway": "g1", "users": 0}') == ("t1", ReadReport("g1", 0, TIME_TO_LIVE_MS))


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        (None, b'{"gateway": "g1", "users": 1}', "the key is empty"),
        (b"\xff", b'{"gateway": "g1", "users": 1}', "not UTF-8"),
        (b"t\x00", b'{"gateway": "g1", "users": 1}', "cannot be printed"),
        (b"t" * (TENANT_ID_LENGTH_MAX + 1), b'{"gateway": "g1", "users": 1}', "at most 128"),
        (b"t1", None, "the value is empty"),
        (b"t1", b"\xff", "not a report of users"),
        (b"t1", b'{"gateway": "\xff", "users": 1}', "not a report of users"),
        (b"t1", b"[" * 100_000, "not a report of users"),
        (b"t1", b'{"gateway": "g1", "users": -1}', r"users"),
    ],
)
def test_what_breaks_the_contract_is_named(key: bytes | None, value: bytes | None, problem: str) -> None:
    with pytest.raises(InputInvalid, match=problem):
        decode_report(key, value)
