from __future__ import annotations

import pytest

from streams.tenantdb.horizon import before_header

PAGE = 8192


@pytest.mark.parametrize("header", [24, 40])
def test_a_place_behind_the_header_of_an_empty_page_is_the_end_of_the_page_before(header: int) -> None:
    assert before_header(5 * PAGE + header, PAGE) == 5 * PAGE


@pytest.mark.parametrize("offset", [0, 8, 32, 48, PAGE - 8])
def test_every_other_place_is_itself(offset: int) -> None:
    assert before_header(5 * PAGE + offset, PAGE) == 5 * PAGE + offset
