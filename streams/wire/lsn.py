"""Log sequence numbers: places in the WAL, as numbers and as PostgreSQL writes them.

Source: https://www.postgresql.org/docs/current/datatype-pg-lsn.html
"""

from __future__ import annotations

import re
from typing import Final

from streams.errors import InputInvalid

LSN_MAX: Final = 2**64 - 1
"""The last byte that a WAL can have."""

_TEXT: Final = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})", re.ASCII)
_LOW_BITS: Final = 32
_LOW: Final = 2**_LOW_BITS - 1


def lsn_text(lsn: int) -> str:
    """A byte's place in the WAL, from 0 to `LSN_MAX`, as PostgreSQL writes it: ``16/B374D848``."""
    return f"{lsn >> _LOW_BITS:X}/{lsn & _LOW:X}"


def lsn_of(text: str) -> int:
    """The place that ``text`` names, in small or capital letters.

    Raises:
        InputInvalid: it is no LSN.
    """
    found = _TEXT.fullmatch(text)
    if found is None:
        raise InputInvalid(f"{text[:40]!r} is no LSN; one looks like 16/B374D848")
    return int(found[1], 16) << _LOW_BITS | int(found[2], 16)
