from __future__ import annotations

import struct
from datetime import UTC, datetime

import pytest

from streams.replication.columns import from_microseconds, lenient, reader_of
from tests.unit.replication.encoder import BOOL, BYTEA, INT4, JSON, JSONB, TEXT, TIMESTAMP, TIMESTAMPTZ, UUID_TYPE

EARLIEST = datetime.min  # noqa: DTZ901 - the column has no zone
LATEST = datetime.max  # noqa: DTZ901 - the column has no zone
NOON = datetime(2030, 1, 1, 12)  # noqa: DTZ001 - the column has no zone
INT64_MIN, INT64_MAX = struct.pack("!q", -(2**63)), struct.pack("!q", 2**63 - 1)


@pytest.mark.parametrize(
    ("type_oid", "written", "found"),
    [
        (BOOL, b"\x00", False),
        (BYTEA, b"\x00\xff", b"\x00\xff"),
        (BYTEA, b"", b""),
        (TEXT, "é\N{SNOWMAN}".encode(), "é\N{SNOWMAN}"),
        (JSON, b'{"a":1}', b'{"a":1}'),
        (JSONB, b'\x01{"a": 1}', b'{"a": 1}'),
        (TIMESTAMP, struct.pack("!q", 0), datetime(2000, 1, 1)),  # noqa: DTZ001 - the column has no zone
        (TIMESTAMP, INT64_MAX, LATEST),
        (TIMESTAMP, INT64_MIN, EARLIEST),
        (TIMESTAMPTZ, struct.pack("!q", -1), datetime(1999, 12, 31, 23, 59, 59, 999999, UTC)),
        (TIMESTAMPTZ, INT64_MAX, LATEST.replace(tzinfo=UTC)),
        (UUID_TYPE, bytes(range(16)), "00010203-0405-0607-0809-0a0b0c0d0e0f"),
        (INT4, b"\x00\x00\x00\x07", b"\x00\x00\x00\x07"),
    ],
)
def test_a_binary_value_becomes_the_value_of_its_type(type_oid: int, written: bytes, found: object) -> None:
    assert reader_of(type_oid).binary(written) == found


@pytest.mark.parametrize(
    ("type_oid", "written", "found"),
    [
        (BOOL, b"f", False),
        (BYTEA, b"\\x00ff", b"\x00\xff"),
        (BYTEA, b"\\000a\\\\b\\377", b"\x00a\\b\xff"),
        (JSONB, b'{"a": 1}', b'{"a": 1}'),
        (TIMESTAMP, b"2030-01-01 12:00:00", NOON),
        (TIMESTAMP, b"2030-01-01 12:00:00.5", NOON.replace(microsecond=500_000)),
        (TIMESTAMP, b"infinity", LATEST),
        (TIMESTAMP, b"-infinity", EARLIEST),
        (TIMESTAMP, b"294276-12-31 23:59:59.999999", LATEST),
        (TIMESTAMP, b"0044-03-15 12:00:00 BC", EARLIEST),
        (TIMESTAMPTZ, b"2030-01-01 12:00:00+05:30", datetime(2030, 1, 1, 6, 30, tzinfo=UTC)),
        (TIMESTAMPTZ, b"0001-01-01 00:00:00+01", EARLIEST.replace(tzinfo=UTC)),
        (TIMESTAMPTZ, b"9999-12-31 23:59:59-01", LATEST.replace(tzinfo=UTC)),
        (UUID_TYPE, b"00010203-0405-0607-0809-0A0B0C0D0E0F", "00010203-0405-0607-0809-0a0b0c0d0e0f"),
        (INT4, b"7", b"7"),
    ],
)
def test_a_value_in_text_becomes_the_value_of_its_type(type_oid: int, written: bytes, found: object) -> None:
    assert reader_of(type_oid).text(written) == found


@pytest.mark.parametrize(
    ("type_oid", "written"),
    [
        (BOOL, b""),
        (BOOL, b"\x02"),
        (JSONB, b""),
        (JSONB, b"\x02{}"),
        (TIMESTAMP, b"\x00"),
        (UUID_TYPE, bytes(15)),
        (TEXT, b"\xff"),
    ],
)
def test_a_binary_value_that_no_server_writes_is_refused(type_oid: int, written: bytes) -> None:
    with pytest.raises((ValueError, LookupError, struct.error)):
        reader_of(type_oid).binary(written)


@pytest.mark.parametrize(
    ("type_oid", "written"),
    [
        (BOOL, b"true"),
        (BYTEA, b"\\xf"),
        (BYTEA, b"a\\8"),
        (TIMESTAMP, b"01/02/2030 12:00:00"),
        (TIMESTAMP, b"2030-01-01 12:00:00+00"),
        (TIMESTAMP, b"2030-13-01 12:00:00"),
        (TIMESTAMPTZ, b"2030-01-01 12:00:00"),
        (UUID_TYPE, b"7"),
        (UUID_TYPE, b"\xff" * 36),
    ],
)
def test_a_value_in_text_that_no_server_writes_is_refused(type_oid: int, written: bytes) -> None:
    with pytest.raises((ValueError, LookupError, struct.error)):
        reader_of(type_oid).text(written)


def test_only_text_is_read_leniently() -> None:
    assert lenient(reader_of(TEXT)).binary(b"\xff") == b"\xff"
    assert lenient(reader_of(TEXT)).text(b"a") == "a"
    assert lenient(reader_of(JSONB)) is reader_of(JSONB)


def test_times_that_python_cannot_hold_become_the_nearest_that_it_can() -> None:
    last = from_microseconds(2**62)
    assert last == LATEST.replace(tzinfo=UTC)
    assert from_microseconds(-(2**62)) == EARLIEST.replace(tzinfo=UTC)
