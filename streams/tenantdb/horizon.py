"""A moment of a server: what has ended by then, and how much WAL there is."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from streams.catalog.entry import Database
from streams.tenantdb.failure import translated

PAGE_HEADER_BYTES: Final = 24
SEGMENT_HEADER_BYTES: Final = 40
"""What a page of the WAL begins with, and what the first page of a segment does."""

# The snapshot is taken before the LSN is read: whatever had ended for the one has its commit before the other.
HORIZON = """
select pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text::bigint as xmin,
       (pg_catalog.pg_current_wal_insert_lsn() - '0/0'::pg_catalog.pg_lsn)::bigint as lsn,
       pg_catalog.clock_timestamp() as at,
       exists (select from pg_catalog.pg_replication_slots where slot_name = $1 and active_pid = $2) as streamed,
       pg_catalog.current_setting('wal_block_size')::integer as page,
       pg_catalog.pg_size_bytes(pg_catalog.current_setting('wal_segment_size')) as segment
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
        streamed: whether the WAL sender that was asked for streamed from its slot on this very server then.
    """

    xmin: int
    lsn: int
    at: dt.datetime
    streamed: bool


async def horizon(session: Any, database: Database, *, slot: str, sender: int) -> Horizon:
    """Ask for it, in one statement: what is asked in two may be two servers' answers, one being put for the other.

    Args:
        session: any.
        database: where it is, for messages.
        slot: name of the slot that is streamed from.
        sender: process id of the WAL sender that does.

    Raises:
        TenantDatabaseFailure: the statement failed.
    """
    with translated(database, "Asking how far the server is"):
        found = await session.fetchrow(HORIZON, slot, sender)
    lsn = before_header(found["lsn"], found["page"], found["segment"])
    return Horizon(found["xmin"], lsn, found["at"], found["streamed"])


async def flush(session: Any, database: Database) -> None:
    """Have the server write to its disk all the WAL there is, so that it can be streamed.

    Raises:
        TenantDatabaseFailure: a statement failed.
    """
    with translated(database, "Flushing the WAL"):
        async with session.transaction():
            await session.execute("set local synchronous_commit = local")
            await session.fetchval(FLUSH)


def before_header(lsn: int, page: int, segment: int) -> int:
    """Return the same place as who reads the WAL names it.

    Where a page has no more than its header yet, who writes stands behind that, and who reads stops before it.

    Args:
        lsn: where who writes stands.
        page: bytes of a page.
        segment: bytes of a segment.
    """
    header = SEGMENT_HEADER_BYTES if lsn % segment < page else PAGE_HEADER_BYTES
    return lsn - header if lsn % page == header else lsn
