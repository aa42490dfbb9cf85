"""Values of columns, as logical replication sends them: which Python value each PostgreSQL type becomes.

===============================  ===========================================================================
bool                             `bool`
text, varchar, char(n), name     `str`; the `bytes` themselves where they are no UTF-8, as a database in SQL_ASCII has
json, jsonb                      `bytes`: the JSON text, as it is
uuid                             `str`: 36 characters, small letters
bytea                            `bytes`
timestamp                        `datetime` without a zone, as it is written
timestamp with time zone         `datetime`, UTC
every other type                 `bytes`, in the format they came in
===============================  ===========================================================================

Times that Python cannot hold, infinity among them, become the nearest that it can. Text has to be written with
PostgreSQL's own ``datestyle`` ISO.

Sources: https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html (TupleData); the send
functions of PostgreSQL's types for the binary format.
"""

from __future__ import annotations

import re
import struct
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Final, Literal, NamedTuple


class Absent(Enum):
    """What stands for a value that was not sent."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Absent.UNCHANGED
"""A large value that an update left as it was, so that the server did not send it. None is SQL's null."""

Value = bool | str | bytes | datetime | Literal[Absent.UNCHANGED] | None
Read = Callable[[bytes], Value]


class Reader(NamedTuple):
    """How a type's values are read, in both formats.

    The functions raise `ValueError`, `LookupError` or `struct.error`. Those of text raise `UnicodeDecodeError`, so that
    the usual case is one call into C; `lenient` is for that case.
    """

    text: Read
    binary: Read


EPOCH: Final = datetime(2000, 1, 1)  # noqa: DTZ001 - the zone is the column's matter
"""When PostgreSQL's clock began."""

EPOCH_UTC: Final = EPOCH.replace(tzinfo=UTC)

JSONB_VERSION: Final = 1
"""The only version of jsonb's binary format: its first byte; the text follows."""

UUID_BYTES: Final = 16

_MICROSECOND: Final = timedelta(microseconds=1)
_MICROSECONDS_MIN: Final = (datetime.min - EPOCH) // _MICROSECOND  # noqa: DTZ901 - no zone, as in EPOCH
_MICROSECONDS_MAX: Final = (datetime.max - EPOCH) // _MICROSECOND  # noqa: DTZ901 - no zone, as in EPOCH
_INT64: Final = struct.Struct("!q")
_BOOLEANS: Final = {b"t": True, b"f": False, b"\x01": True, b"\x00": False}
_TIME: Final = re.compile(
    rb"(?P<year>\d{4,6})-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?(?P<zone>[+-]\d\d(:\d\d){0,2})?(?P<before> BC)?"
)
_ESCAPED: Final = re.compile(rb"\\(?:(\\)|([0-3][0-7]{2}))")


def from_microseconds(microseconds: int, epoch: datetime = EPOCH_UTC) -> datetime:
    """The time so many microseconds after 2000-01-01 as ``epoch`` has it, or the nearest that Python can hold."""
    if not _MICROSECONDS_MIN <= microseconds <= _MICROSECONDS_MAX:
        microseconds = _MICROSECONDS_MIN if microseconds < 0 else _MICROSECONDS_MAX
    return epoch + timedelta(0, 0, microseconds)


def _text(value: bytes) -> Value:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _jsonb(value: bytes) -> Value:
    if value[0] != JSONB_VERSION:
        raise ValueError("jsonb of an unknown version")
    return value[1:]


def _uuid(value: bytes) -> Value:
    if len(value) != UUID_BYTES:
        raise ValueError("a uuid has 16 bytes")
    digits = value.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _uuid_text(value: bytes) -> Value:
    return str(uuid.UUID(value.decode()))


def _timestamp(value: bytes) -> Value:
    return from_microseconds(_INT64.unpack(value)[0], EPOCH)


def _timestamptz(value: bytes) -> Value:
    return from_microseconds(_INT64.unpack(value)[0])


def _timestamp_text(value: bytes) -> Value:
    return _written_time(value, zoned=False)


def _timestamptz_text(value: bytes) -> Value:
    return _written_time(value, zoned=True)


def _written_time(value: bytes, *, zoned: bool) -> datetime:
    zone = UTC if zoned else None
    earliest, latest = datetime.min.replace(tzinfo=zone), datetime.max.replace(tzinfo=zone)
    if value in {b"infinity", b"-infinity"}:
        return latest if value == b"infinity" else earliest
    found = _TIME.fullmatch(value)
    if found is None or (found["zone"] is not None) != zoned:
        raise ValueError("no time in the ISO style")
    if found["before"] is not None:
        return earliest
    if len(found["year"]) > 4:
        return latest
    written = datetime.fromisoformat(value.decode())
    try:
        return written.astimezone(UTC) if zoned else written
    except OverflowError:
        return earliest if written.year == earliest.year else latest


def _bytea_text(value: bytes) -> Value:
    if value.startswith(b"\\x"):
        return bytes.fromhex(value[2:].decode())
    if _ESCAPED.sub(b"", value).count(b"\\"):
        raise ValueError("a backslash that escapes nothing")
    return _ESCAPED.sub(lambda found: found[1] or bytes([int(found[2], 8)]), value)


RAW: Final = Reader(bytes, bytes)
"""Leaves values as they came."""

_TEXT: Final = Reader(bytes.decode, bytes.decode)
_LENIENT_TEXT: Final = Reader(_text, _text)
_READERS: Final = {
    16: Reader(_BOOLEANS.__getitem__, _BOOLEANS.__getitem__),
    17: Reader(_bytea_text, bytes),
    19: _TEXT,
    25: _TEXT,
    114: RAW,
    1042: _TEXT,
    1043: _TEXT,
    1114: Reader(_timestamp_text, _timestamp),
    1184: Reader(_timestamptz_text, _timestamptz),
    2950: Reader(_uuid_text, _uuid),
    3802: Reader(bytes, _jsonb),
}


def reader_of(type_oid: int) -> Reader:
    """How values of a type are read; the oid is that of ``pg_type``."""
    return _READERS.get(type_oid, RAW)


def lenient(reader: Reader) -> Reader:
    """The same, but text that is no UTF-8 stays bytes."""
    return _LENIENT_TEXT if reader is _TEXT else reader
