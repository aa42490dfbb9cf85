"""Reading rows of `realtime.messages` back from the table: those that a snapshot has and nobody has streamed yet.

A row is found by the transaction that wrote it. Rows keep its number in 32 bits, also once they are frozen; of a
snapshot the server tells all 64 (https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from streams.catalog.entry import Database
from streams.tenantdb.failure import OperationalCode, Reason, TenantDatabaseFailure, target, translated

EPOCH: Final = 1 << 32
"""Transaction numbers that 32 bits tell apart."""

FIRST_NORMAL: Final = 3
"""The first transaction number that is one; those below stand for rows that are older than all others."""

VALUE_BYTES_MAX: Final = 1 << 30
"""What a value of PostgreSQL can have at most (https://www.postgresql.org/docs/current/limits.html)."""

FIRST_ROWS: Final = 16
"""Rows of the first batch, while it is not known how large they are."""

# A slot's snapshot may have its xmax below its xmin: who makes a slot counts commits only once it has waited for every
# transaction that was open, and what these wrote is in the snapshot nevertheless.
FACTS = """
select pg_catalog.pg_snapshot_xmin(snapshot)::text::bigint as xmin,
       greatest(pg_catalog.pg_snapshot_xmin(snapshot)::text::bigint,
                pg_catalog.pg_snapshot_xmax(snapshot)::text::bigint) as next_xid,
       pg_catalog.clock_timestamp() as at
  from pg_catalog.pg_current_snapshot() as snapshot
"""

# A payload that is larger than it may be is left where it is: a few of them would fill the memory of a worker, for all
# its tenants. Of a row with a binary payload the other one counts for nothing.
COLUMNS = """
id, topic, event, private, extension, inserted_at,
case when size.bytes <= {most} then binary_payload end as binary_payload,
case when size.bytes <= {most} and binary_payload is null then payload end as payload,
size.bytes as bytes,
coalesce(size.bytes > {most}, false) as oversized
"""

SIZE = """
lateral (select coalesce(octet_length(binary_payload), octet_length(payload::text))::bigint as bytes) as size
"""

# $1: the next transaction number without its lower 32 bits; $2: the next transaction number. What a row has would be
# above that in this round of numbers? Then it is of the round before.
WRITTEN_BY = f"""
case when xmin::text::bigint < {FIRST_NORMAL} then 0
     when $1::bigint + xmin::text::bigint < $2::bigint then $1::bigint + xmin::text::bigint
     else $1::bigint + xmin::text::bigint - {EPOCH}
 end
"""

BY_TRANSACTION = f"""
select {COLUMNS.format(most="$6::bigint")}, written_by < $3::bigint as unexpected
  from (select *, {WRITTEN_BY} as written_by from realtime.messages) as message, {SIZE}
 where written_by >= $3::bigint or inserted_at between $4::timestamp and $5::timestamp
 order by inserted_at, id
"""  # noqa: S608  # put together from constants of this module

BY_TIME = f"""
select {COLUMNS.format(most="$2::bigint")}, false as unexpected
  from realtime.messages, {SIZE}
 where inserted_at >= $1::timestamp
 order by inserted_at, id
"""  # noqa: S608  # see above

# What the database or the role says about time must not end a reading that waits for Kafka; and a policy that hid rows
# from us would lose them without a word, where this makes it an error.
UNHINDERED = """
select pg_catalog.set_config(name, case name when 'row_security' then 'off' else '0' end, true)
  from pg_catalog.pg_settings
 where name in ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout', 'lock_timeout',
                'row_security')
"""


@dataclass(frozen=True, slots=True)
class SnapshotFacts:
    """What a snapshot says of itself.

    Attributes:
        xmin: every transaction below this 64-bit number has ended, and what it committed is in the snapshot.
        next_xid: no transaction at or above this 64-bit number is in it.
        at: the server's clock when it was asked; aware.
    """

    xmin: int
    next_xid: int
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class Batch:
    """How much is read at a time.

    Attributes:
        rows: at most so many.
        bytes: of payload, by what the rows before had.
        payload_bytes_max: a larger payload is not read; its row comes without it, and is `oversized`.
    """

    rows: int
    bytes: int
    payload_bytes_max: int = VALUE_BYTES_MAX

    def following(self, before: Sequence[Any]) -> int:
        """How many rows to read next, by what the rows before had; at least one."""
        size = sum(row["bytes"] or 0 for row in before if not row["oversized"])
        return max(1, min(self.rows, self.bytes * len(before) // max(size, 1)))


class Reading:
    """Rows under one snapshot, for as long as its transaction is open.

    Attributes:
        facts: of the snapshot.
    """

    __slots__ = ("_database", "_session", "_timeout_s", "facts")

    def __init__(self, session: Any, database: Database, facts: SnapshotFacts, timeout_ms: int) -> None:
        self.facts = facts
        self._session = session
        self._database = database
        self._timeout_s = timeout_ms / 1000

    def since_transaction(self, xmin: int, at: dt.datetime, batch: Batch) -> AsyncGenerator[list[Any], None]:
        """Rows that transactions at or above `xmin` wrote.

        Rows of earlier transactions that say they were inserted between `at` and now come too, and are `unexpected`:
        a server whose history was set back gives transaction numbers out a second time.

        Args:
            xmin: 64-bit transaction number.
            at: when that was what a snapshot said, by the server's clock; aware.
            batch: how much is read at a time.

        Yields:
            Lists of asyncpg records, in the order of `inserted_at` and `id`. Each tells the `bytes` of its payload, as
            text where that is JSON, and whether it is `oversized` and therefore null.

        Raises:
            TenantDatabaseFailure: a statement failed.
        """
        following = self.facts.next_xid
        times = (_naive(at), _naive(self.facts.at))
        return self._rows(
            BY_TRANSACTION, (following - following % EPOCH, following, xmin, *times, batch.payload_bytes_max), batch
        )

    def since_time(self, since: dt.datetime, batch: Batch) -> AsyncGenerator[list[Any], None]:
        """Rows that say they were inserted at or after `since`; see `since_transaction`."""
        return self._rows(BY_TIME, (_naive(since), batch.payload_bytes_max), batch)

    async def _rows(self, query: str, arguments: tuple[Any, ...], batch: Batch) -> AsyncGenerator[list[Any], None]:
        with translated(self._database, "Reading rows of realtime.messages back"):
            cursor = await self._session.cursor(query, *arguments, timeout=self._timeout_s)
            wanted = min(FIRST_ROWS, batch.rows)
            while rows := await self._fetched(cursor, wanted):
                wanted = batch.following(rows)
                yield rows

    async def _fetched(self, cursor: Any, wanted: int) -> list[Any]:
        try:
            return list(await cursor.fetch(wanted, timeout=self._timeout_s))
        except (ValueError, OverflowError) as error:  # text that is no UTF-8, a time that Python does not know
            message = f"A row of realtime.messages on {target(self._database)} cannot be read: {error}. Delete it."
            raise TenantDatabaseFailure(Reason.UNAVAILABLE, OperationalCode.UNABLE_TO_CONNECT, message) from error


@asynccontextmanager
async def reading(session: Any, database: Database, snapshot: str, timeout_ms: int) -> AsyncIterator[Reading]:
    """Open a transaction under an exported snapshot, for the block.

    Args:
        session: idle, and used for nothing else meanwhile.
        database: where the session is, for messages.
        snapshot: its name (https://www.postgresql.org/docs/current/sql-set-transaction.html).
        timeout_ms: longest time for each statement, in milliseconds.

    Raises:
        TenantDatabaseFailure: a statement failed.
    """
    with translated(database, "Reading under a slot's snapshot"):
        async with session.transaction(isolation="repeatable_read", readonly=True):
            literal = snapshot.replace("'", "''")
            await session.execute(f"set transaction snapshot '{literal}'")
            await session.execute(UNHINDERED)
            yield Reading(session, database, SnapshotFacts(**await session.fetchrow(FACTS)), timeout_ms)


def _naive(moment: dt.datetime) -> dt.datetime:
    """The column has no time zone, and is in UTC."""
    return moment.astimezone(dt.UTC).replace(tzinfo=None)
