from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.errors import InputInvalid
from streams.wire.lsn import LSN_MAX, lsn_of, lsn_text


@settings(deadline=None)
@given(st.integers(0, LSN_MAX))
def test_a_place_in_the_wal_reads_as_it_was_written(lsn: int) -> None:
    assert lsn_of(lsn_text(lsn)) == lsn


@pytest.mark.parametrize(
    ("lsn", "text"), [(0, "0/0"), (0x16B374D848, "16/B374D848"), (2**32, "1/0"), (LSN_MAX, "FFFFFFFF/FFFFFFFF")]
)
def test_it_is_written_as_postgresql_does(lsn: int, text: str) -> None:
    assert lsn_text(lsn) == text


def test_small_letters_are_read_too() -> None:
    assert lsn_of("16/b374d848") == 0x16B374D848


@pytest.mark.parametrize(
    "text",
    ["", "/", "1/", "/1", "1", "1/2/3", "G/0", "123456789/0", "-1/0", " 1/0", "1/0\n", "\N{ARABIC-INDIC DIGIT ONE}/0"],
)
def test_what_is_no_place_in_the_wal_is_refused(text: str) -> None:
    with pytest.raises(InputInvalid, match="is no LSN"):
        lsn_of(text)
