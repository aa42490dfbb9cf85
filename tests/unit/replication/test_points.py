from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.replication.points import Points
from streams.wire.position import ResumePoint, encode_fence, encode_position, fence_key

AT: Final = datetime(2030, 1, 1, tzinfo=UTC)
Record = tuple[bytes | None, bytes | None]


def point(claim: int, lsn: int = 1, tenant: str = "t1") -> ResumePoint:
    return ResumePoint(tenant, claim, 7, lsn, "7", 1, AT)


def stands(claim: int, lsn: int = 1, tenant: str = "t1") -> Record:
    """The record of a point."""
    return tenant.encode(), encode_position(point(claim, lsn, tenant))


def fence(claim: int, number: int = 0) -> Record:
    return fence_key(claim, str(number)), encode_fence(claim)


def read(*records: Record) -> Points:
    points = Points()
    for offset, (key, value) in enumerate(records):
        points.take(key, value, f"positions:0:{offset}")
    return points


def test_the_last_point_of_each_tenant_counts() -> None:
    points = read(fence(3), stands(3, 1), stands(3, 5, "t2"), stands(3, 2))
    assert points.by_tenant == {"t1": point(3, 2), "t2": point(3, 5, "t2")}


def test_a_point_of_an_older_claim_behind_a_newer_fence_is_void() -> None:
    points = read(fence(3), fence(8), stands(3, 1))
    assert (points.by_tenant, points.void) == ({}, 1)


def test_the_point_before_one_that_is_void_still_holds() -> None:
    assert read(fence(3), stands(3, 1), fence(8), stands(3, 2)).by_tenant == {"t1": point(3, 1)}


def test_a_point_before_the_newer_fence_holds() -> None:
    points = read(fence(3), stands(3, 1), fence(8))
    assert (points.by_tenant, points.void) == ({"t1": point(3, 1)}, 0)


def test_a_fence_that_comes_late_does_not_lower_the_highest() -> None:
    assert read(fence(8), fence(3), stands(5, 1)).by_tenant == {}


def test_the_point_of_a_tenant_that_was_removed_is_gone() -> None:
    assert read(fence(3), stands(3, 1), (b"t1", None)).by_tenant == {}


def test_a_fence_that_was_removed_still_made_void_what_stood_behind_it() -> None:
    points = read(fence(8), stands(3, 1), (fence(8)[0], None))
    assert (points.by_tenant, points.fences) == ({}, set())


def test_compaction_never_lets_a_void_point_count() -> None:
    records = [fence(3), stands(3, 1), fence(8), stands(3, 2), stands(3, 9, "t2"), fence(9)]
    last = {key: number for number, (key, _) in enumerate(records)}
    compacted = [record for number, record in enumerate(records) if last[record[0]] == number]
    assert read(*records).by_tenant == {"t1": point(3, 1)}
    assert read(*compacted).by_tenant == {}


@pytest.mark.parametrize(
    "record",
    [
        (b"t1", b"{}"),
        (b"t1", b"\xff"),
        (b"t1", b""),
        (b"t2", encode_position(point(3, 2))),
        (None, encode_position(point(3, 2))),
        (b"\xff", b"{}"),
        (b"\xff", None),
        (b"\x00claim:", b"{}"),
    ],
)
def test_a_record_that_cannot_be_read_stops_nothing_and_leaves_the_point_before_it(record: Record) -> None:
    points = read(fence(3), stands(3, 1), record, stands(3, 7, "t9"))
    assert points.by_tenant == {"t1": point(3, 1), "t9": point(3, 7, "t9")}


keys = st.sampled_from([None, b"t1", b"\x00claim:3:a", b"\x00claim:99999999999999999999:a"]) | st.binary(max_size=20)
values = st.sampled_from([None, *(stands(3, 1)), *(fence(3))]) | st.binary(max_size=60)


@settings(deadline=None)
@given(st.lists(st.tuples(keys, values), max_size=20))
def test_any_records_can_be_read(records: list[Record]) -> None:
    read(*records)
