from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.replication.rate import RATE_WINDOW_S, RateLimit

START: Final = datetime(2030, 1, 1, tzinfo=UTC)
WINDOW: Final = int(RATE_WINDOW_S)


def admitted(limit: RateLimit, count: int, after_s: float = 0.0) -> int:
    """How many of so many rows that were written at one moment are admitted."""
    return sum(limit.admits(START + timedelta(seconds=after_s)) for _ in range(count))


def test_one_window_of_rows_may_come_at_once() -> None:
    assert admitted(RateLimit(5), 1000) == 5 * WINDOW


def test_after_a_burst_the_limit_is_admitted_each_second() -> None:
    limit = RateLimit(5)
    admitted(limit, 1000)
    assert [admitted(limit, 1000, second) for second in (1, 2, 4)] == [5, 5, 10]


def test_a_long_rest_saves_up_no_more_than_one_window() -> None:
    limit = RateLimit(5)
    admitted(limit, 1000)
    assert admitted(limit, 1000, 3600.0) == 5 * WINDOW


def test_a_clock_that_is_set_back_neither_fills_nor_stops() -> None:
    limit = RateLimit(5)
    admitted(limit, 1000, 3600.0)
    assert admitted(limit, 1000, 0.0) == 0
    assert admitted(limit, 1000, 1.0) == 5


def test_a_changed_limit_holds_from_the_next_row_on() -> None:
    limit = RateLimit(100)
    limit.change(1)
    assert admitted(limit, 1000) == WINDOW
    limit.change(3)
    assert admitted(limit, 1000, 1.0) == 3


@settings(deadline=None)
@given(st.integers(1, 50), st.lists(st.integers(0, 3000), max_size=300))
def test_no_stretch_of_time_admits_more_than_its_share_and_one_window(rate: int, pauses_ms: list[int]) -> None:
    limit = RateLimit(rate)
    taken: list[datetime] = []
    at = START
    for pause in pauses_ms:
        at += timedelta(milliseconds=pause)
        taken += [at] * admitted_at(limit, at)
    for first in range(len(taken)):
        passed = (taken[-1] - taken[first]).total_seconds()
        assert len(taken) - first <= (passed + RATE_WINDOW_S) * rate + 1


def admitted_at(limit: RateLimit, at: datetime) -> int:
    return sum(limit.admits(at) for _ in range(20))
