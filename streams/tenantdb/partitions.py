"""Daily partitions of `realtime.messages`: yesterday to three days ahead, in UTC."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from streams.catalog.entry import Database
from streams.tenantdb.failure import DRIVER_ERRORS, reduced, sqlstate_of
from streams.tenantdb.session import SessionLimits, transaction

DAYS_BEHIND = 1
DAYS_AHEAD = 3

DUPLICATES = frozenset({"42P07", "23505"})
"""SQLSTATEs that say that somebody else made the same partition at the same time."""


@dataclass(frozen=True, slots=True)
class Partitions:
    """What became of the days.

    Attributes:
        made: days that have a partition now, whether made just now or before.
        failed: days that have none, each with the server's words.
    """

    made: tuple[dt.date, ...]
    failed: tuple[tuple[dt.date, str], ...]


def days_around(today: dt.date) -> tuple[dt.date, ...]:
    """Return the days that need a partition on the UTC day `today`, ascending."""
    return tuple(today + dt.timedelta(days=offset) for offset in range(-DAYS_BEHIND, DAYS_AHEAD + 1))


def partition_name(day: dt.date) -> str:
    """Return the name of a day's partition in the schema `realtime`."""
    return f"messages_{day:%Y_%m_%d}"


async def make_partitions(session: Any, database: Database, today: dt.date, limits: SessionLimits) -> Partitions:
    """Make the missing partitions, each in a transaction of its own, so that one that fails stops no other.

    Args:
        session: of a user who may create tables in the schema and give them away.
        database: where the session is, for messages.
        today: the UTC day.
        limits: bounds; of each day's wait for a lock `partition_lock_ms`.
    """
    made: list[dt.date] = []
    failed: list[tuple[dt.date, str]] = []
    for day in days_around(today):
        try:
            async with transaction(session):
                await session.execute(f"set local lock_timeout = {int(limits.partition_lock_ms)}")
                await session.execute(_statements(day))
        except DRIVER_ERRORS as error:
            if sqlstate_of(error) not in DUPLICATES:
                failed.append((day, reduced(error, database)))
                continue
        made.append(day)
    return Partitions(made=tuple(made), failed=tuple(failed))


def _statements(day: dt.date) -> str:
    name = f"realtime.{partition_name(day)}"
    following = day + dt.timedelta(days=1)
    # Attached, not created in place: creating a partition locks out everybody who writes to the parent, and waits for
    # every transaction that did; attaching does neither. All parts of the text are made from a date.
    return f"""
        do $block$
        begin
          if pg_catalog.to_regclass('{name}') is null then
            create table {name} (like realtime.messages including all);
            alter table {name} owner to supabase_realtime_admin;
            alter table realtime.messages attach partition {name}
              for values from ('{day:%Y-%m-%d}') to ('{following:%Y-%m-%d}');
          elsif not exists (select
                              from pg_catalog.pg_inherits
                             where inhrelid = '{name}'::pg_catalog.regclass
                               and inhparent = 'realtime.messages'::pg_catalog.regclass) then
            raise exception '{name} exists and is no partition of realtime.messages'
              using errcode = 'wrong_object_type', hint = 'Rename or attach it.';
          end if;
        end
        $block$;
    """  # noqa: S608  # see above
