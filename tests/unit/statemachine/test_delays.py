"""How long is waited before streaming is tried again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.streaming import next_delay
from tests.unit.statemachine.histories import MODEST

SHORTEST = timedelta(seconds=5)
LONGEST = timedelta(minutes=5)

chances = st.floats(0, 1)
lengths = st.timedeltas(timedelta(milliseconds=1), timedelta(hours=1))


def _bounds(previous_s: float | None, shortest: timedelta = SHORTEST, longest: timedelta = LONGEST) -> list[float]:
    previous = None if previous_s is None else timedelta(seconds=previous_s)
    return [next_delay(previous, chance, shortest, longest).total_seconds() for chance in (0, 0.5, 1)]


@pytest.mark.parametrize(
    ("previous_s", "expected"),
    [
        (None, [5, 10, 15]),
        (5, [5, 10, 15]),
        (10, [10, 20, 30]),
        (15, [15, 30, 45]),
        (45, [45, 90, 135]),
        (99, [99, 198, 297]),
        (100, [100, 200, 300]),
        (101, [100, 200, 300]),
        (135, [100, 200, 300]),
        (300, [100, 200, 300]),
    ],
)
def test_a_delay_lies_between_the_one_before_and_three_times_that_and_never_above_the_longest(
    previous_s: float | None, expected: list[float]
) -> None:
    assert _bounds(previous_s) == expected


def test_bounds_that_are_near_each_other_leave_no_room_and_are_kept() -> None:
    assert _bounds(None, timedelta(seconds=4), timedelta(seconds=5)) == [4, 4.5, 5]
    assert _bounds(5, timedelta(seconds=5), timedelta(seconds=5)) == [5, 5, 5]


def test_a_wait_chosen_under_other_settings_does_not_break_the_bounds_of_these() -> None:
    assert _bounds(1) == [5, 10, 15]
    assert _bounds(3600) == [100, 200, 300]


@MODEST
@given(st.none() | lengths, chances, lengths, lengths)
def test_no_delay_is_below_the_shortest_or_above_the_longest(
    previous: timedelta | None, chance: float, one: timedelta, other: timedelta
) -> None:
    shortest, longest = sorted([one, other])
    assert shortest <= next_delay(previous, chance, shortest, longest) <= longest


@MODEST
@given(st.none() | lengths, chances, chances)
def test_a_greater_chance_is_no_shorter_delay(previous: timedelta | None, one: float, other: float) -> None:
    less, more = sorted([one, other])
    assert next_delay(previous, less, SHORTEST, LONGEST) <= next_delay(previous, more, SHORTEST, LONGEST)
