"""A moment of a server: what has ended by then, and how much WAL there is."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from streams.catalog.entry import Database
from streams.tenantdb.failure import translated

PAGE_HEADERS: Final = frozenset({24, 40})
"""Bytes that a page of the WAL begins with: most pages, and the first of a segment."""

# The snapshot is taken before the LSN is read: whatever had ended for the one has its commit before the other.
HORIZON = """
select pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text::bigint as xmin,
       (pg_catalog.pg_current_wal_insert_lsn() - '0/0'::pg_catalog.pg_lsn)::bigint as lsn,
       pg_catalog.clock_timestamp() as at,
       pg_catalog.current_setting('wal_block_size')::integer as page
"""


# What is written without a commit, hints for instance, lies in memory until the WAL writer comes by, which on a quiet
# server takes seconds. A commit that is waited for brings all that is before it to the disk, and so to the stream.
FLUSH = "select pg_catalog.pg_logical_emit_message(true, 'realtime_connect', 'flush')"


@dataclass(frozen=True, slots=True)
class Horizon:
    """What a server said at a moment.

    Attributes:
        xmin: every transaction below this 64-bit number has ended, and its commit lies before `lsn`.
        lsn: where the WAL went on; all of it may not be on the disk yet.
        at: the server's clock; aware.
    """

    xmin: int
    lsn: int
    at: dt.datetime


async def horizon(session: Any, database: Database) -> Horizon:
    """Ask for it, in one statement.

    Raises:
        TenantDatabaseFailure: the statement failed.
    """
    with translated(database, "Asking how far the server is"):
        found = await session.fetchrow(HORIZON)
    return Horizon(found["xmin"], before_header(found["lsn"], found["page"]), found["at"])


async def flush(session: Any, database: Database) -> None:
    """Have the server write to its disk all the WAL there is, so that it can be streamed.

    Raises:
        TenantDatabaseFailure: a statement failed.
    """
    with translated(database, "Flushing the WAL"):
        async with session.transaction():
            await session.execute("set local synchronous_commit = local")
            await session.fetchval(FLUSH)


def before_header(lsn: int, page: int) -> int:
    """Return the same place as who reads the WAL names it.

    Who writes stands behind the header of a page that is empty otherwise; who reads stops before it.
    """
    return lsn - lsn % page if lsn % page in PAGE_HEADERS else lsn
