from __future__ import annotations

import pytest

from streams.tenantdb.horizon import before_header

PAGE = 8_192
SEGMENT = 16 * 1024 * 1024


def test_a_place_behind_the_header_of_an_empty_page_is_the_end_of_the_page_before() -> None:
    assert before_header(SEGMENT + 5 * PAGE + 24, PAGE, SEGMENT) == SEGMENT + 5 * PAGE


def test_a_place_behind_the_header_of_an_empty_segment_is_the_end_of_the_segment_before() -> None:
    assert before_header(3 * SEGMENT + 40, PAGE, SEGMENT) == 3 * SEGMENT


@pytest.mark.parametrize("offset", [0, 8, 32, 40, 48, PAGE - 8])
def test_a_place_behind_the_end_of_a_record_is_itself(offset: int) -> None:
    place = SEGMENT + 5 * PAGE + offset
    assert before_header(place, PAGE, SEGMENT) == place


def test_a_place_behind_the_end_of_a_segments_first_record_is_itself() -> None:
    assert before_header(3 * SEGMENT + 56, PAGE, SEGMENT) == 3 * SEGMENT + 56
