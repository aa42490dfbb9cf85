"""Partitions of `realtime.messages` that have expired are dropped; with the making of new ones, the daily housekeeping.

Dropping a partition locks the parent table exclusively: the server waits until every transaction that used it has
ended, and whoever comes meanwhile waits too, writers included. So the wait has a short bound, after which writers go on
and the day is left for the next round; once the lock is had, dropping takes milliseconds. Detaching concurrently would
not lock writers out, but cannot be done in a transaction, fails where there is a default partition, waits for every
older snapshot, and leaves a partition half detached, or a table that nobody knows the origin of, where it is
interrupted (https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DETACH-PARTITION).
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any

from streams.catalog.entry import Database
from streams.tenantdb.failure import DRIVER_ERRORS, reduced, translated
from streams.tenantdb.partitions import Partitions, make_partitions, partition_name
from streams.tenantdb.session import SessionLimits, short_session, transaction

JANITOR = "realtime_janitor"
"""Application name of the session that keeps house."""

DROPS_MAX = 31
"""Most partitions that are dropped at a time, oldest first; what is left is dropped the next time."""


CHILDREN = """
select namespace.nspname || '.' || child.relname as name,
       namespace.nspname = 'realtime' and child.relkind = 'r' as ordinary,
       pg_catalog.pg_get_expr(child.relpartbound, child.oid) as bound
  from pg_catalog.pg_inherits as inherits
  join pg_catalog.pg_class as child on child.oid = inherits.inhrelid
  join pg_catalog.pg_namespace as namespace on namespace.oid = child.relnamespace
 where inherits.inhparent = pg_catalog.to_regclass('realtime.messages')
 order by name
"""

_NAME = re.compile(r"realtime\.messages_(\d{4})_(\d{2})_(\d{2})", re.ASCII)
_UPPER = re.compile(r"FOR VALUES FROM \('.*'\) TO \('(.*)'\)")


@dataclass(frozen=True, slots=True)
class Dropped:
    """What became of the partitions that have expired.

    Attributes:
        days: dropped now, ascending.
        failed: still there, each with the server's words.
        others: children of the table that are no partitions of one day under its name; whatever is in them stays.
    """

    days: tuple[dt.date, ...]
    failed: tuple[tuple[dt.date, str], ...]
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """What housekeeping did: partitions made, and partitions dropped."""

    partitions: Partitions
    dropped: Dropped


async def housekeep(database: Database, now: dt.datetime, limits: SessionLimits, retention: dt.timedelta) -> Kept:
    """Make the partitions of the days to come and drop those that have expired, on one short-lived session.

    Args:
        database: whose user owns the partitions, or is a member of their owner.
        now: aware.
        limits: bounds.
        retention: how long messages are kept.

    Raises:
        TenantDatabaseFailure: the database cannot be reached, or asked which partitions there are.
    """
    async with short_session(
        database, application_name=JANITOR, limits=limits, statement_ms=limits.migration_statement_ms
    ) as session:
        partitions = await make_partitions(session, database, now.astimezone(dt.UTC).date(), limits)
        return Kept(partitions, await drop_expired(session, database, now, retention, limits))


async def drop_expired(
    session: Any, database: Database, now: dt.datetime, retention: dt.timedelta, limits: SessionLimits
) -> Dropped:
    """Drop the partitions of days that ended before what is to be kept began, at most `DROPS_MAX`.

    Each is dropped in a transaction of its own, so that one that fails stops no other.

    Args:
        session: of a user who owns the partitions, or is a member of their owner.
        database: where the session is, for messages.
        now: aware.
        retention: how long messages are kept; days before the UTC day of `now - retention` have expired.
        limits: bounds; of each wait for the table `drop_lock_ms`.

    Raises:
        TenantDatabaseFailure: the partitions could not be listed.
    """
    first_kept = (now - retention).astimezone(dt.UTC).date()
    days, others = await _children(session, database)
    dropped: list[dt.date] = []
    failed: list[tuple[dt.date, str]] = []
    for day in [day for day in days if day < first_kept][:DROPS_MAX]:
        try:
            async with transaction(session):
                await session.execute(f"set local lock_timeout = {int(limits.drop_lock_ms)}")
                await session.execute(f"drop table if exists realtime.{partition_name(day)}")
        except DRIVER_ERRORS as error:
            failed.append((day, reduced(error, database)))
        else:
            dropped.append(day)
    return Dropped(tuple(dropped), tuple(failed), others)


async def _children(session: Any, database: Database) -> tuple[list[dt.date], tuple[str, ...]]:
    """List the days that have a partition, ascending, and the names of all other children."""
    with translated(database, "Listing the partitions of realtime.messages"):
        async with transaction(session):
            await session.execute("set local datestyle = 'ISO'")
            rows = await session.fetch(CHILDREN)
    found = {row["name"]: _day_of(row["name"], row["bound"]) if row["ordinary"] else None for row in rows}
    return sorted(day for day in found.values() if day), tuple(name for name, day in found.items() if day is None)


def _day_of(name: str, bound: str) -> dt.date | None:
    """Return the day after which this partition has nothing, by its name and its bound; None where they say none."""
    named, upper = _NAME.fullmatch(name), _UPPER.fullmatch(bound)
    if named is None or upper is None:
        return None
    try:
        day = dt.date(*map(int, named.groups()))
        end = dt.datetime.fromisoformat(upper.group(1))
    except ValueError:
        return None
    return day if end <= dt.datetime.combine(day + dt.timedelta(days=1), dt.time()) else None
