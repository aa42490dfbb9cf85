"""What a stream of logical replication says: one record for each message of ``pgoutput``.

Source: https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from streams.replication.columns import Value


class Begin(NamedTuple):
    """A transaction begins.

    Attributes:
        final_lsn: where its commit stands in the WAL.
        commit_time: when it was committed, aware.
        xid: its transaction id, 32 bits.
    """

    final_lsn: int
    commit_time: datetime
    xid: int


class Commit(NamedTuple):
    """A transaction ends.

    Attributes:
        commit_lsn: where its commit stands in the WAL.
        end_lsn: where the WAL goes on after it; confirming this confirms the transaction.
        commit_time: when it was committed, aware.
    """

    commit_lsn: int
    end_lsn: int
    commit_time: datetime


class Column(NamedTuple):
    """A column of a relation.

    Attributes:
        name: its name.
        type_oid: its type, an oid of ``pg_type``.
        key: whether it is part of the replica identity.
    """

    name: str
    type_oid: int
    key: bool


class Relation(NamedTuple):
    """A table is announced, before its first row and after every change of it.

    Attributes:
        oid: what rows call it.
        schema: its schema.
        table: its name; a partition has its own.
        columns: in the order of the values of its rows.
    """

    oid: int
    schema: str
    table: str
    columns: tuple[Column, ...]


class Insert(NamedTuple):
    """A row was written.

    Attributes:
        relation: oid of its relation, which was announced before.
        values: in the order of the relation's columns.
    """

    relation: int
    values: tuple[Value, ...]


class Skipped(NamedTuple):
    """A message that nothing is done with.

    Attributes:
        kind: update, delete, truncate, type, origin, or message for one that a program wrote into the WAL.
    """

    kind: str


Message = Begin | Commit | Relation | Insert | Skipped
