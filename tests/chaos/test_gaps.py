"""A gap speaks for the rows between its bounds; every other row that is missing is found."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chaos.checker import check
from tests.chaos.histories import PARTITIONS, Written, right

OWNER = 3
STREAMED = "t3"
"""A tenant whose rows are streamed from the twelfth second on."""

TOLD_AT = 17.0
"""When a gap is told that follows upon a second stream, in seconds after the beginning."""


def found(written: Written) -> set[str]:
    return {finding.rule for finding in check(written.evidence, PARTITIONS)}


def streamed(**bounds: Any) -> Written:
    """The right history, and a tenant whose stream started twice; the second one tells of a gap."""
    written = right()
    written.connected(STREAMED, OWNER)
    written.event(STREAMED, OWNER, "effect:stream", "replication.lost")
    written.event(STREAMED, OWNER, "effect:stream", "replication.started")
    gap = {"from_lsn": None, "to_lsn": None} | bounds
    written.event(STREAMED, OWNER, "effect:stream", "replication.gap", **gap)
    return written


def test_rows_between_the_bounds_of_a_gap_are_covered() -> None:
    written = streamed(from_lsn="0/10", to_lsn="0/30")

    written.lost(STREAMED, "a", "0/10", 13.0)
    written.lost(STREAMED, "b", "0/2F", 13.5)

    assert found(written) == set()


def test_a_row_is_covered_that_may_have_been_committed_behind_the_first_bound() -> None:
    written = streamed(from_lsn="0/20", to_lsn="0/30")

    written.lost(STREAMED, "a", "0/10", 13.0)
    written.lost(STREAMED, "b", "0/28", 13.5)

    assert found(written) == set()


@pytest.mark.parametrize(
    ("lsn", "at"),
    [
        pytest.param("0/31", 13.0, id="behind its last bound"),
        pytest.param("1/00", 13.0, id="far behind its last bound"),
        pytest.param("0/01", 13.0, id="before its first bound"),
        pytest.param("0/20", TOLD_AT + 1.0, id="after it was told"),
    ],
)
def test_a_row_outside_the_bounds_of_a_gap_is_found(lsn: str, at: float) -> None:
    written = streamed(from_lsn="0/10", to_lsn="0/30")
    written.lost(STREAMED, "a", "0/05", 12.5)
    written.evidence.committed[STREAMED].remove("a")

    written.lost(STREAMED, "b", lsn, at)

    assert found(written) == {"row"}


def test_a_gap_without_bounds_covers_what_was_committed_since_the_stream_before_it_started() -> None:
    written = streamed()

    written.lost(STREAMED, "a", "0/10", 13.0)

    assert found(written) == set()


@pytest.mark.parametrize("at", [1.0, TOLD_AT + 1.0])
def test_a_gap_without_bounds_covers_nothing_before_and_nothing_after(at: float) -> None:
    written = streamed()

    written.lost(STREAMED, "a", "0/10", at)

    assert found(written) == {"row"}


def test_rows_that_are_never_delivered_are_found_though_a_gap_was_told() -> None:
    written = streamed(from_lsn="0/10", to_lsn="0/30")

    for number in range(500):
        written.lost(STREAMED, f"{number}", f"0/{0x20 + number:X}", 13.0 + number / 10)

    assert found(written) == {"row"}


def test_a_gap_of_another_tenant_covers_nothing() -> None:
    written = streamed()
    written.connected("t4", OWNER)

    written.lost("t4", "a", "0/10", 13.0)

    assert found(written) == {"row"}
