"""From a checked database to one that broadcasts can be written to."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import dataclass

from streams.catalog.entry import Database
from streams.tenantdb.check import MIGRATIONS_COUNT
from streams.tenantdb.failure import translated
from streams.tenantdb.migrate import Migration, migrate, read_migrations
from streams.tenantdb.naming import MIGRATIONS
from streams.tenantdb.partitions import make_partitions
from streams.tenantdb.session import SessionLimits, short_session


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What was done.

    Attributes:
        migrations_run: files applied; 0 where all were recorded.
        migrations_on_database: rows of `realtime.schema_migrations` afterwards, whoever applied them.
        partitions: UTC days that have a partition now.
        partitions_failed: UTC days that have none, each with the server's words; never an error of provisioning.
        took_ms: milliseconds.
    """

    migrations_run: int
    migrations_on_database: int
    partitions: tuple[dt.date, ...]
    partitions_failed: tuple[tuple[dt.date, str], ...]
    took_ms: int


async def provision(
    database: Database,
    today: dt.date,
    limits: SessionLimits,
    migrations: Sequence[Migration] | None = None,
) -> Provisioned:
    """Migrate, then make partitions, on one short-lived session.

    Args:
        database: whose user may create in it.
        today: the UTC day.
        limits: bounds.
        migrations: other files than this version's own.

    Raises:
        TenantDatabaseFailure: the database cannot be reached, or a migration failed.
    """
    started = time.monotonic()
    files = read_migrations() if migrations is None else migrations
    async with short_session(
        database, application_name=MIGRATIONS, limits=limits, statement_ms=limits.migration_statement_ms
    ) as session:
        migrations_run = await migrate(session, database, limits, files)
        with translated(database, "Counting the migrations that ran"):
            recorded = int(await session.fetchval(MIGRATIONS_COUNT))
        days = await make_partitions(session, database, today, limits)
    return Provisioned(
        migrations_run=migrations_run,
        migrations_on_database=recorded,
        partitions=days.made,
        partitions_failed=days.failed,
        took_ms=round((time.monotonic() - started) * 1000),
    )
