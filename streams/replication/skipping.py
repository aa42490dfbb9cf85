"""Messages of ``pgoutput`` that nothing is done with: what they say is passed over, but they have to be whole.

A message that is out of shape would mean that everything after it is read wrongly.

Source: https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from streams.replication.protocol import Skipped

_COUNT: Final = struct.Struct("!H")
_LENGTH: Final = struct.Struct("!I")
_TRUNCATE: Final = struct.Struct("!IB")
_TAGGED: Final = frozenset(b"tb")
_EMPTY: Final = frozenset(b"nu")
_OLD: Final = frozenset(b"KO")
_NEW: Final = ord("N")


def skip(payload: bytes) -> Skipped:
    """What kind of message it is.

    Raises:
        ValueError, IndexError, struct.error: it is none of these, or not whole, or longer than it should be.
    """
    found = _KINDS.get(payload[0])
    if found is None:
        raise ValueError("no kind of message that was asked for")
    kind, after = found
    place = after(payload)
    if place != len(payload):
        raise ValueError(f"it should have {place} bytes")
    return kind


def after_string(payload: bytes, place: int) -> int:
    """Where the payload goes on after a string that a zero byte ends.

    Raises:
        ValueError: none does.
    """
    return payload.index(0, place) + 1


def _after_row(payload: bytes, place: int) -> int:
    (count,) = _COUNT.unpack_from(payload, place)
    place += _COUNT.size
    for _ in range(count):
        kind = payload[place]
        place += 1
        if kind in _TAGGED:
            place += _LENGTH.size + _LENGTH.unpack_from(payload, place)[0]
        elif kind not in _EMPTY:
            raise ValueError(f"a value of kind {kind}")
    return place


def _after_update(payload: bytes) -> int:
    place = 5
    if payload[place] in _OLD:
        place = _after_row(payload, place + 1)
    if payload[place] != _NEW:
        raise ValueError("an update without its new row")
    return _after_row(payload, place + 1)


def _after_delete(payload: bytes) -> int:
    if payload[5] not in _OLD:
        raise ValueError("a deletion without its old row")
    return _after_row(payload, 6)


def _after_truncate(payload: bytes) -> int:
    relations, _options = _TRUNCATE.unpack_from(payload, 1)
    return 1 + _TRUNCATE.size + int(relations) * 4


def _after_type(payload: bytes) -> int:
    return after_string(payload, after_string(payload, 5))


def _after_origin(payload: bytes) -> int:
    return after_string(payload, 9)


def _after_message(payload: bytes) -> int:
    place = after_string(payload, 10)
    return place + _LENGTH.size + int(_LENGTH.unpack_from(payload, place)[0])


_KINDS: Final[dict[int, tuple[Skipped, Callable[[bytes], int]]]] = {
    ord("U"): (Skipped("update"), _after_update),
    ord("D"): (Skipped("delete"), _after_delete),
    ord("T"): (Skipped("truncate"), _after_truncate),
    ord("Y"): (Skipped("type"), _after_type),
    ord("O"): (Skipped("origin"), _after_origin),
    ord("M"): (Skipped("message"), _after_message),
}
