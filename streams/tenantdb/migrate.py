"""Migrations of a tenant's database: numbered SQL files, each applied once, by one runner at a time.

Our versions have four digits. The platform's own migrations, which may have run on the database before, are recorded
in the same table under 14 digits (a time), so the two never meet. A file whose effect is already there does nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from streams.catalog.entry import Database
from streams.tenantdb.failure import (
    DRIVER_ERRORS,
    OperationalCode,
    Reason,
    TenantDatabaseFailure,
    reduced,
    sqlstate_of,
    target,
)
from streams.tenantdb.naming import MIGRATION_LOCK_SPACE, lock_key
from streams.tenantdb.session import SessionLimits, transaction

FILES = Path(__file__).parent / "sql"
"""The migrations that belong to this version of the service."""

_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql", re.ASCII)

SCHEMA_EXISTS = "select exists (select from pg_catalog.pg_namespace where nspname = 'realtime')"

CREATE_SCHEMA = "create schema realtime"

CREATE_TABLE = """
create table realtime.schema_migrations (version bigint primary key, inserted_at timestamp(0) without time zone)
"""

TABLE_EXISTS = "select pg_catalog.to_regclass('realtime.schema_migrations') is not null"

RECORDED = "select version from realtime.schema_migrations"

ABANDONED_AFTER_MS = 1_000
"""How long the server goes on with a statement of a runner that was killed; the next one waits for its lock."""

# From PostgreSQL 14 on
# (https://www.postgresql.org/docs/current/runtime-config-connection.html#GUC-CLIENT-CONNECTION-CHECK-INTERVAL).
NOTICE_ABANDONMENT = """
select pg_catalog.set_config(name, $1, false)
  from pg_catalog.pg_settings
 where name = 'client_connection_check_interval'
"""

# The platform's runner holds this lock on the table while it works; taking it keeps the two apart.
EXCLUDE_OTHER_RUNNERS = "lock table realtime.schema_migrations in share update exclusive mode"

RECORD = """
insert into realtime.schema_migrations (version, inserted_at)
values ($1, pg_catalog.timezone('utc', pg_catalog.now()))
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its version, its name and its statements."""

    version: int
    name: str
    statements: str


def read_migrations(directory: Path = FILES) -> tuple[Migration, ...]:
    """Read all files `NNNN_name.sql` of a directory, ascending.

    Raises:
        ValueError: a file is named otherwise, or two have one version.
    """
    migrations = sorted((_read(path) for path in directory.glob("*.sql")), key=lambda migration: migration.version)
    versions = [migration.version for migration in migrations]
    if len(set(versions)) != len(versions):
        raise ValueError(f"two migrations in {directory.name}/ have one version: {versions}")
    return tuple(migrations)


def _read(path: Path) -> Migration:
    match = _FILE_NAME.fullmatch(path.name)
    if match is None:
        raise ValueError(f"{path.name} is not named NNNN_name.sql")
    return Migration(version=int(match.group(1)), name=path.name, statements=path.read_text(encoding="utf-8"))


async def migrate(session: Any, database: Database, limits: SessionLimits, migrations: Sequence[Migration]) -> int:
    """Apply what is not recorded, ascending, each file in a transaction of its own; return how many ran.

    Args:
        session: takes the migration lock, and keeps it until it ends; a second runner waits for that.
        database: where the session is, for messages.
        limits: bounds.
        migrations: all files there are.

    Raises:
        TenantDatabaseFailure: `migrations_failed`; the database is as it was before the file that is named.
    """
    await _lock(session, database, limits)
    pending = await _pending(session, database, migrations)
    for migration in pending:
        await _apply(session, database, migration)
    return len(pending)


async def _lock(session: Any, database: Database, limits: SessionLimits) -> None:
    try:
        await session.execute(f"set lock_timeout = {int(limits.migration_lock_ms)}")
        await session.fetchval(NOTICE_ABANDONMENT, str(ABANDONED_AFTER_MS))
        await session.fetchval("select pg_catalog.pg_advisory_lock($1)", lock_key(MIGRATION_LOCK_SPACE, ""))
    except asyncpg.LockNotAvailableError as error:
        waited = f"Waiting {limits.migration_lock_ms} ms for another migration runner to end"
        raise _failure(error, database, waited) from error
    except DRIVER_ERRORS as error:
        raise _failure(error, database, "Taking the migration lock") from error


async def _pending(session: Any, database: Database, migrations: Sequence[Migration]) -> list[Migration]:
    try:
        if not await session.fetchval(SCHEMA_EXISTS):
            await session.execute(CREATE_SCHEMA)
        if not await session.fetchval(TABLE_EXISTS):
            await session.execute(CREATE_TABLE)
        recorded = {row["version"] for row in await session.fetch(RECORDED)}
    except DRIVER_ERRORS as error:
        raise _failure(error, database, "Preparing realtime.schema_migrations") from error
    return [migration for migration in migrations if migration.version not in recorded]


async def _apply(session: Any, database: Database, migration: Migration) -> None:
    try:
        async with transaction(session):
            await session.execute(EXCLUDE_OTHER_RUNNERS)
            await session.execute(migration.statements)
            await session.execute(RECORD, migration.version)
    except DRIVER_ERRORS as error:
        raise _failure(error, database, f"Migration {migration.name}") from error


def _failure(error: BaseException, database: Database, attempt: str) -> TenantDatabaseFailure:
    return TenantDatabaseFailure(
        Reason.MIGRATIONS_FAILED,
        OperationalCode.MIGRATIONS_FAILED,
        f"{attempt} failed on {target(database)}: {reduced(error, database)}.",
        sqlstate=sqlstate_of(error),
    )
