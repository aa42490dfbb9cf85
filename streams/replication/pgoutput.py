"""Messages of PostgreSQL's output plugin ``pgoutput``: bytes in, records out.

Protocol versions 1 and 2, where the streaming of unfinished transactions was not asked for.

Source: https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Final

from streams.errors import PgoutputUnreadable
from streams.replication.columns import RAW, UNCHANGED, Reader, Value, from_microseconds, lenient, reader_of
from streams.replication.protocol import Begin, Column, Commit, Insert, Message, Relation
from streams.replication.skipping import after_string, skip

RELATIONS_MAX: Final = 1024
"""Relations that are remembered. Beyond that the one that was announced first is forgotten; the server announces each
only once a session, so a row of it would then end the stream, which begins again with nothing remembered."""

NULL: Final = ord("n")
LEFT_OUT: Final = ord("u")
TEXT: Final = ord("t")
BINARY: Final = ord("b")
NEW: Final = ord("N")
ROW_PLACE: Final = 8
"""Where the first value of an inserted row is, in bytes."""

IDENTITIES: Final = frozenset(b"dnfi")
"""Replica identities: default, nothing, full, index."""

_BEGIN: Final = struct.Struct("!QqI")
_COMMIT: Final = struct.Struct("!BQQq")
_OID: Final = struct.Struct("!I")
_RELATION: Final = struct.Struct("!BH")
_COLUMN: Final = struct.Struct("!Ii")
_INSERT: Final = struct.Struct("!IBH")
_LENGTH: Final = struct.Struct("!I").unpack_from


class Decoder:
    """Reads the messages of one session, in their order; it remembers the relations that were announced.

    Args:
        columns: names of the columns whose values are read; those of all others stay bytes. None for all.
    """

    def __init__(self, columns: frozenset[str] | None = None) -> None:
        self._columns = columns
        self._readers: dict[int, tuple[Reader, ...]] = {}
        self._kinds: dict[int, Callable[[bytes], Message]] = {
            ord("I"): self._insert,
            ord("B"): _begin,
            ord("C"): _commit,
            ord("R"): self._relation,
        }

    def decode(self, payload: bytes) -> Message:
        """The message that the payload of one XLogData holds, all of it.

        Raises:
            PgoutputUnreadable: it holds none, or more than one, or one that was not asked for. What was remembered
                is as before.
        """
        try:
            return self._kinds.get(payload[0], skip)(payload)
        except (struct.error, LookupError, ValueError) as error:
            raise PgoutputUnreadable(f"message {payload[:1]!r} of {len(payload)} bytes: {error}") from error

    def _insert(self, payload: bytes) -> Insert:
        relation, kind, count = _INSERT.unpack_from(payload, 1)
        readers = self._readers.get(relation)
        if readers is None or len(readers) != count or kind != NEW:
            raise ValueError(f"a row of {count} columns does not fit what was announced as relation {relation}")
        try:
            return Insert(relation, _values(payload, readers))
        except UnicodeDecodeError:
            return Insert(relation, _values(payload, [lenient(reader) for reader in readers]))

    def _relation(self, payload: bytes) -> Relation:
        oid = _OID.unpack_from(payload, 1)[0]
        schema, place = _string(payload, 5)
        table, place = _string(payload, place)
        identity, count = _RELATION.unpack_from(payload, place)
        if identity not in IDENTITIES:
            raise ValueError(f"a replica identity of kind {identity}")
        place += _RELATION.size
        columns: list[Column] = []
        for _ in range(count):
            flags = payload[place]
            name, place = _string(payload, place + 1)
            columns.append(Column(name, _COLUMN.unpack_from(payload, place)[0], bool(flags & 1)))
            place += _COLUMN.size
        _ends(payload, place)
        self._remember(oid, tuple(self._reader(column) for column in columns))
        return Relation(oid, schema, table, tuple(columns))

    def _reader(self, column: Column) -> Reader:
        wanted = self._columns is None or column.name in self._columns
        return reader_of(column.type_oid) if wanted else RAW

    def _remember(self, oid: int, readers: tuple[Reader, ...]) -> None:
        self._readers.pop(oid, None)
        if len(self._readers) >= RELATIONS_MAX:
            del self._readers[next(iter(self._readers))]
        self._readers[oid] = readers


def _values(payload: bytes, readers: Iterable[Reader]) -> tuple[Value, ...]:
    """The values of a row that ends the payload of an insert."""
    values: list[Value] = []
    place = ROW_PLACE
    for text, binary in readers:
        kind = payload[place]
        if kind == BINARY:
            start = place + 5
            place = start + _LENGTH(payload, place + 1)[0]
            values.append(binary(payload[start:place]))
        elif kind == NULL:
            place += 1
            values.append(None)
        elif kind == TEXT:
            start = place + 5
            place = start + _LENGTH(payload, place + 1)[0]
            values.append(text(payload[start:place]))
        elif kind == LEFT_OUT:
            place += 1
            values.append(UNCHANGED)
        else:
            raise ValueError(f"a value of kind {kind}")
    _ends(payload, place)
    return tuple(values)


def _begin(payload: bytes) -> Begin:
    final_lsn, microseconds, xid = _BEGIN.unpack(payload[1:])
    return Begin(final_lsn, from_microseconds(microseconds), xid)


def _commit(payload: bytes) -> Commit:
    _flags, commit_lsn, end_lsn, microseconds = _COMMIT.unpack(payload[1:])
    return Commit(commit_lsn, end_lsn, from_microseconds(microseconds))


def _string(payload: bytes, place: int) -> tuple[str, int]:
    after = after_string(payload, place)
    # A name is only compared and shown: one that is no UTF-8 must not end the stream.
    return payload[place : after - 1].decode(errors="replace"), after


def _ends(payload: bytes, place: int) -> None:
    if place != len(payload):
        raise ValueError(f"it should have {place} bytes")
