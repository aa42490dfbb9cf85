"""The connection check: is the database there, has it room, and how far is it migrated."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from streams.catalog.entry import Database
from streams.tenantdb.failure import OperationalCode, Reason, TenantDatabaseFailure, target, translated
from streams.tenantdb.naming import OWN_SESSIONS, PROBE
from streams.tenantdb.room import Room, room
from streams.tenantdb.session import SessionLimits, short_session

# Counts the whole server, its background processes included, and not our own sessions: what they hold was counted
# as required when they came.
CONNECTIONS = """
select pg_catalog.current_setting('max_connections')::integer as connections_max,
       (select pg_catalog.count(*)::integer
          from pg_catalog.pg_stat_activity
         where coalesce(application_name, '') !~ $1) as used
"""

MIGRATIONS_TABLE_EXISTS = """
select exists (select
                 from pg_catalog.pg_class as relation
                 join pg_catalog.pg_namespace as namespace on namespace.oid = relation.relnamespace
                where namespace.nspname = 'realtime' and relation.relname = 'schema_migrations')
"""

MIGRATIONS_COUNT = "select pg_catalog.count(*)::integer from realtime.schema_migrations"


@dataclass(frozen=True, slots=True)
class Checked:
    """A database that has room.

    Attributes:
        available: connections that are free on the server.
        required: connections that must be; less than available.
        migrations_on_database: rows of `realtime.schema_migrations`, 0 where there is no such table.
        took_ms: milliseconds.
    """

    available: int
    required: int
    migrations_on_database: int
    took_ms: int


async def check(database: Database, limits: SessionLimits) -> Checked:
    """Probe the database with one session and three statements.

    Raises:
        TenantDatabaseFailure: it cannot be reached or asked, or has too little room.
    """
    started = time.monotonic()
    async with short_session(database, application_name=PROBE, limits=limits) as session:
        with translated(database, "Looking for free connections"):
            found = await session.fetchrow(CONNECTIONS, OWN_SESSIONS)
        with translated(database, "Counting the migrations that ran"):
            migrations = await _migrations(session)
    seen = room(connections_max=found["connections_max"], used=found["used"], pool_size=database.pool_size)
    if not seen.enough:
        raise _too_little(database, seen)
    return Checked(
        available=seen.available,
        required=seen.required,
        migrations_on_database=migrations,
        took_ms=round((time.monotonic() - started) * 1000),
    )


async def _migrations(session: Any) -> int:
    if not await session.fetchval(MIGRATIONS_TABLE_EXISTS):
        return 0
    return int(await session.fetchval(MIGRATIONS_COUNT))


def _too_little(database: Database, seen: Room) -> TenantDatabaseFailure:
    return TenantDatabaseFailure(
        Reason.TOO_MANY_CONNECTIONS,
        OperationalCode.LACK_OF_CONNECTIONS,
        f"{target(database)} has {seen.available} connections free, and more than {seen.required} are needed. "
        "Free connections, raise max_connections, or lower the pool size.",
    )
