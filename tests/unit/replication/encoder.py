"""Messages of ``pgoutput`` as a server writes them, from Python values; and Hypothesis strategies for them.

Source: https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from hypothesis import strategies as st

from streams.replication.columns import UNCHANGED
from streams.replication.protocol import Begin, Column, Commit, Relation

BOOL, BYTEA, TEXT, JSON, TIMESTAMP, TIMESTAMPTZ, UUID_TYPE, JSONB, INT4 = 16, 17, 25, 114, 1114, 1184, 2950, 3802, 23
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)

MESSAGES: Final = Relation(
    16400,
    "realtime",
    "messages_2030_01_01",
    tuple(
        Column(name, type_oid, key)
        for name, type_oid, key in (
            ("topic", TEXT, False),
            ("extension", TEXT, False),
            ("payload", JSONB, False),
            ("event", TEXT, False),
            ("private", BOOL, False),
            ("updated_at", TIMESTAMP, False),
            ("inserted_at", TIMESTAMP, True),
            ("id", UUID_TYPE, True),
            ("binary_payload", BYTEA, False),
        )
    ),
)
"""A partition of the messages, as its migrations make it."""

AN_ID: Final = "7f3c0a52-93a1-4a0e-8a39-0d3e7c1b2f10"
A_ROW: Final[tuple[Any, ...]] = (
    "room:1",
    "broadcast",
    b'{"a": 1}',
    "changed",
    True,
    datetime(2030, 1, 1, 11, 59, 59),  # noqa: DTZ001 - the column has no zone
    datetime(2030, 1, 1, 12, 0, 0, 123456),  # noqa: DTZ001 - the column has no zone
    AN_ID,
    None,
)

A_ROW_OF_BYTES: Final = (*A_ROW[:2], None, *A_ROW[3:8], b"\x00\xff")
"""One whose last value is as long as it says."""


def string(text: str) -> bytes:
    return text.encode() + b"\0"


def microseconds(moment: datetime) -> int:
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return (aware - _EPOCH) // timedelta(microseconds=1)


def begin(record: Begin) -> bytes:
    return b"B" + struct.pack("!QqI", record.final_lsn, microseconds(record.commit_time), record.xid)


def commit(record: Commit) -> bytes:
    return b"C" + struct.pack("!BQQq", 0, record.commit_lsn, record.end_lsn, microseconds(record.commit_time))


def relation(record: Relation, identity: bytes = b"d") -> bytes:
    columns = [
        bytes([column.key]) + string(column.name) + struct.pack("!Ii", column.type_oid, -1) for column in record.columns
    ]
    head = b"R" + struct.pack("!I", record.oid) + string(record.schema) + string(record.table) + identity
    return head + struct.pack("!H", len(columns)) + b"".join(columns)


_BINARY: Final[dict[int, Callable[[Any], bytes]]] = {
    BOOL: lambda value: bytes([value]),
    BYTEA: bytes,
    TEXT: str.encode,
    JSON: bytes,
    JSONB: lambda value: b"\x01" + value,
    TIMESTAMP: lambda value: struct.pack("!q", microseconds(value)),
    TIMESTAMPTZ: lambda value: struct.pack("!q", microseconds(value)),
    UUID_TYPE: lambda value: UUID(value).bytes,
    INT4: bytes,
}
_TEXT: Final[dict[int, Callable[[Any], bytes]]] = {
    BOOL: lambda value: b"t" if value else b"f",
    BYTEA: lambda value: b"\\x" + value.hex().encode(),
    TEXT: str.encode,
    JSON: bytes,
    JSONB: bytes,
    TIMESTAMP: lambda value: value.isoformat(" ").encode(),
    TIMESTAMPTZ: lambda value: value.isoformat(" ").replace("+00:00", "+00").encode(),
    UUID_TYPE: str.encode,
    INT4: bytes,
}


def value(type_oid: int, content: Any, *, binary: bool) -> bytes:
    if content is None:
        return b"n"
    if content is UNCHANGED:
        return b"u"
    body = (_BINARY if binary else _TEXT)[type_oid](content)
    return (b"b" if binary else b"t") + struct.pack("!I", len(body)) + body


def row(of: Relation, values: Sequence[Any], *, binary: bool = True) -> bytes:
    pairs = zip(of.columns, values, strict=True)
    body = b"".join(value(column.type_oid, content, binary=binary) for column, content in pairs)
    return struct.pack("!H", len(values)) + body


def insert(of: Relation, values: Sequence[Any], *, binary: bool = True) -> bytes:
    return b"I" + struct.pack("!I", of.oid) + b"N" + row(of, values, binary=binary)


def update(of: Relation, values: Sequence[Any], old: bytes = b"") -> bytes:
    before = old + row(of, values) if old else b""
    return b"U" + struct.pack("!I", of.oid) + before + b"N" + row(of, values)


def delete(of: Relation, values: Sequence[Any], old: bytes = b"K") -> bytes:
    return b"D" + struct.pack("!I", of.oid) + old + row(of, values)


def truncate(*oids: int) -> bytes:
    return b"T" + struct.pack("!IB", len(oids), 1) + struct.pack(f"!{len(oids)}I", *oids)


def type_(oid: int, schema: str, name: str) -> bytes:
    return b"Y" + struct.pack("!I", oid) + string(schema) + string(name)


def origin(lsn: int, name: str) -> bytes:
    return b"O" + struct.pack("!Q", lsn) + string(name)


def message(lsn: int, prefix: str, content: bytes) -> bytes:
    return b"M" + struct.pack("!BQ", 1, lsn) + string(prefix) + struct.pack("!I", len(content)) + content


# What PostgreSQL's text can hold: no zero byte, and nothing that is no UTF-8.
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
lsns = st.integers(0, 2**64 - 1)
moments = st.datetimes(timezones=st.just(UTC))
naive_moments = st.datetimes()

_CONTENTS: Final[dict[int, st.SearchStrategy[Any]]] = {
    BOOL: st.booleans(),
    BYTEA: st.binary(max_size=60),
    TEXT: texts,
    JSON: st.binary(max_size=60),
    TIMESTAMP: naive_moments,
    TIMESTAMPTZ: moments,
    UUID_TYPE: st.uuids().map(str),
    JSONB: st.binary(max_size=60),
    INT4: st.binary(min_size=4, max_size=4),
}


def contents(type_oid: int) -> st.SearchStrategy[Any]:
    return st.none() | st.just(UNCHANGED) | _CONTENTS[type_oid]


@st.composite
def relations(draw: st.DrawFn) -> Relation:
    columns = st.builds(Column, texts, st.sampled_from(sorted(_CONTENTS)), st.booleans())
    return Relation(
        draw(st.integers(0, 2**32 - 1)), draw(texts), draw(texts), tuple(draw(st.lists(columns, max_size=12)))
    )


@st.composite
def rows(draw: st.DrawFn) -> tuple[Relation, tuple[Any, ...]]:
    of = draw(relations())
    return of, tuple(draw(contents(column.type_oid)) for column in of.columns)


begins = st.builds(Begin, lsns, moments, st.integers(0, 2**32 - 1))
commits = st.builds(Commit, lsns, lsns, moments)
skipped = st.one_of(
    rows().map(lambda found: update(*found)),
    rows().map(lambda found: update(*found, old=b"K")),
    rows().map(lambda found: update(*found, old=b"O")),
    rows().map(lambda found: delete(*found)),
    rows().map(lambda found: delete(*found, old=b"O")),
    st.lists(st.integers(0, 2**32 - 1), max_size=4).map(lambda oids: truncate(*oids)),
    st.builds(type_, st.integers(0, 2**32 - 1), texts, texts),
    st.builds(origin, lsns, texts),
    st.builds(message, lsns, texts, st.binary(max_size=60)),
)
payloads = st.one_of(
    begins.map(begin),
    commits.map(commit),
    relations().map(relation),
    st.builds(insert, st.just(MESSAGES), st.sampled_from([A_ROW, A_ROW_OF_BYTES]), binary=st.booleans()),
    skipped,
)
