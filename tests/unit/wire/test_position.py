from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.errors import RecordUnreadable
from streams.wire.lsn import LSN_MAX
from streams.wire.position import (
    XMIN_MAX,
    ResumePoint,
    decode_position,
    encode_fence,
    encode_position,
    fence_key,
    fenced_claim,
)

PLACE: Final = "connect.local.positions:0:7"
POINT: Final = ResumePoint("t1", 3, 2**40, 0x16B374D848, "7234567890123456789", 1, datetime(2030, 1, 1, tzinfo=UTC))

points = st.builds(
    ResumePoint,
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=128),
    st.integers(0, 2**63 - 1),
    st.integers(0, XMIN_MAX),
    st.integers(0, LSN_MAX),
    st.integers(0, 2**64 - 1).map(str),
    st.integers(1, 2**32 - 1),
    st.datetimes(timezones=st.just(UTC)),
)


@settings(deadline=None)
@given(points)
def test_a_point_reads_as_it_was_written(point: ResumePoint) -> None:
    assert decode_position(encode_position(point), PLACE) == point


def test_a_point_is_json_with_its_lsn_as_postgresql_writes_it() -> None:
    assert json.loads(encode_position(POINT)) == {
        "tenant": "t1",
        "claim": 3,
        "xmin": 2**40,
        "lsn": "16/B374D848",
        "system_identifier": "7234567890123456789",
        "timeline": 1,
        "at": "2030-01-01T00:00:00Z",
    }


@pytest.mark.parametrize("name", ResumePoint._fields)
def test_a_point_without_one_of_its_members_is_unreadable(name: str) -> None:
    record = json.loads(encode_position(POINT))
    del record[name]
    with pytest.raises(RecordUnreadable, match=name):
        decode_position(json.dumps(record).encode(), PLACE)


@pytest.mark.parametrize(
    "changed",
    [
        {"tenant": ""},
        {"claim": -1},
        {"xmin": -1},
        {"xmin": XMIN_MAX + 1},
        {"xmin": "7"},
        {"lsn": 7},
        {"lsn": "7"},
        {"system_identifier": "x"},
        {"system_identifier": 7},
        {"timeline": 0},
        {"at": "2030-01-01T00:00:00"},
        {"new": 1},
    ],
)
def test_a_point_with_a_bad_member_is_unreadable(changed: dict[str, Any]) -> None:
    record = {**json.loads(encode_position(POINT)), **changed}
    with pytest.raises(RecordUnreadable, match=PLACE):
        decode_position(json.dumps(record).encode(), PLACE)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_unreadable_and_nothing_else(value: bytes) -> None:
    with pytest.raises(RecordUnreadable):
        decode_position(value, PLACE)


@settings(deadline=None)
@given(points, st.data())
def test_a_point_with_a_changed_byte_is_read_or_unreadable(point: ResumePoint, chance: st.DataObject) -> None:
    record = bytearray(encode_position(point))
    record[chance.draw(st.integers(0, len(record) - 1))] ^= chance.draw(st.integers(1, 255))
    try:
        found = decode_position(bytes(record), PLACE)
    except RecordUnreadable:
        return
    assert isinstance(found, ResumePoint)


def test_a_fence_is_told_by_its_key() -> None:
    assert fenced_claim(fence_key(17, "4a0e")) == 17
    assert json.loads(encode_fence(17)) == {"claim": 17}


@pytest.mark.parametrize(
    "key", [b"", b"t1", b"claim:1:a", b"\x00claim:", b"\x00claim:x:a", b"\x00claim:1", b"\x00claim:1:a\n"]
)
def test_every_other_key_is_no_fence(key: bytes) -> None:
    assert fenced_claim(key) is None


def test_no_two_fences_share_a_key() -> None:
    assert len({fence_key(claim, token) for claim in (1, 11) for token in ("1", "11")}) == 4
