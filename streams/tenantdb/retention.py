"""The end of old messages: days that have expired are dropped, and the days to come are made."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any

from streams.catalog.entry import Database
from streams.tenantdb.failure import DRIVER_ERRORS, reduced, translated
from streams.tenantdb.naming import JANITOR
from streams.tenantdb.partitions import Partitions, make_partitions, partition_name
from streams.tenantdb.session import SessionLimits, short_session

LOCK_TIMEOUT_MS = 5_000
"""How long dropping a day waits for those who use the table; writers wait behind it for as long."""

DAYS = """
select relation.relname
  from pg_catalog.pg_inherits as child
  join pg_catalog.pg_class as relation on relation.oid = child.inhrelid
  join pg_catalog.pg_namespace as namespace on namespace.oid = relation.relnamespace
 where child.inhparent = 'realtime.messages'::pg_catalog.regclass and namespace.nspname = 'realtime'
"""

_DAY = re.compile(r"messages_([0-9]{4})_([0-9]{2})_([0-9]{2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Dropped:
    """What became of days that have expired.

    Attributes:
        days: dropped.
        failed: still there, each with the server's words.
    """

    days: tuple[dt.date, ...]
    failed: tuple[tuple[dt.date, str], ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """What a round of housekeeping did."""

    partitions: Partitions
    dropped: Dropped


async def housekeep(database: Database, now: dt.datetime, limits: SessionLimits, retention: dt.timedelta) -> Kept:
    """Make the partitions of the days to come, and drop those that have expired, on one short session.

    Raises:
        TenantDatabaseFailure: the database cannot be reached or asked.
    """
    async with short_session(database, application_name=JANITOR, limits=limits) as session:
        made = await make_partitions(session, database, now.date())
        return Kept(made, await drop_expired(session, database, now, retention))


async def drop_expired(session: Any, database: Database, now: dt.datetime, retention: dt.timedelta) -> Dropped:
    """Drop the partitions of days before the day of ``now - retention``, each by itself."""
    oldest = (now - retention).date()
    with translated(database, "Listing the partitions of realtime.messages"):
        names = [row["relname"] for row in await session.fetch(DAYS)]
    dropped: list[dt.date] = []
    failed: list[tuple[dt.date, str]] = []
    for day in sorted(day for day in map(_day_of, names) if day is not None and day < oldest):
        try:
            async with session.transaction():
                await session.execute(f"set local lock_timeout = {LOCK_TIMEOUT_MS}")
                await session.execute(f"drop table realtime.{partition_name(day)}")
        except DRIVER_ERRORS as error:
            failed.append((day, reduced(error, database)))
        else:
            dropped.append(day)
    return Dropped(tuple(dropped), tuple(failed))


def _day_of(name: str) -> dt.date | None:
    found = _DAY.fullmatch(name)
    try:
        return None if found is None else dt.date(*map(int, found.groups()))
    except ValueError:
        return None
