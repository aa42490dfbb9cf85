from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.replication.window import Window


def test_a_window_shuts_at_its_records() -> None:
    window = Window(2, 1000)
    window.add(1)
    assert not window.shut
    window.add(1)
    assert window.shut


def test_a_window_shuts_at_its_bytes() -> None:
    window = Window(100, 10)
    window.add(9)
    assert not window.shut
    window.add(1)
    assert window.shut


def test_a_window_opens_again_at_half_of_its_bounds_and_says_so_once() -> None:
    window = Window(4, 1000)
    for _ in range(4):
        window.add(10)
    assert [window.remove(1, 10) for _ in range(4)] == [False, True, False, False]
    assert not window.shut


def test_a_window_of_one_record_opens_when_it_is_gone() -> None:
    window = Window(1, 1)
    window.add(5_000_000)
    assert window.shut
    assert window.remove(1, 5_000_000)


@settings(deadline=None)
@given(st.integers(1, 20), st.integers(1, 200), st.lists(st.integers(0, 50), max_size=100))
def test_what_is_taken_out_as_it_came_in_leaves_an_open_window(records: int, size: int, sizes: list[int]) -> None:
    window = Window(records, size)
    for each in sizes:
        window.add(each)
        assert window.shut or (window.records < records and window.bytes < size)
    for each in sizes:
        window.remove(1, each)
    assert (window.records, window.bytes, window.shut) == (0, 0, False)
