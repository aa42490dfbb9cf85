"""The bare script: plain asyncpg, the statements of a connect in their order, as many tenants at once, and no more.

It reads the server and the databases as JSON from standard input, connects all, says what it took and what it holds,
and ends when its input does. With `"one_by_one": true` it connects them one after another and says how long each took.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import sys
import time
from dataclasses import asdict
from typing import Any

import asyncpg

from streams.tenantdb.check import CONNECTIONS, MIGRATIONS_TABLE_EXISTS
from streams.tenantdb.lock import TAKE
from streams.tenantdb.migrate import (
    CREATE_SCHEMA,
    CREATE_TABLE,
    EXCLUDE_OTHER_RUNNERS,
    RECORD,
    RECORDED,
    SCHEMA_EXISTS,
    TABLE_EXISTS,
    read_migrations,
)
from streams.tenantdb.naming import MIGRATION_LOCK_SPACE, OWN_SESSIONS, TENANT_LOCK_SPACE, lock_key, session_name
from streams.tenantdb.partitions import _statements, days_around
from tests.bench.connect.footprint import footprint

MIGRATIONS = read_migrations()


async def opened(server: dict[str, Any], database: str, name: str) -> Any:
    """A session, known to be no pooler's."""
    session = await asyncpg.connect(
        host=server["host"],
        port=server["port"],
        user=server["user"],
        password=server["password"],
        database=database,
        ssl=False,
        statement_cache_size=0,
        server_settings={"application_name": name, "search_path": "pg_catalog"},
    )
    await session.execute(f"select 1 where pg_catalog.pg_backend_pid() = {session.get_server_pid()}")
    return session


async def connect(server: dict[str, Any], database: str) -> list[Any]:
    """Everything that a connect asks of a database that was never connected; gives the sessions that are kept."""
    probe = await opened(server, database, "realtime_connect_probe")
    await probe.fetchrow(CONNECTIONS, OWN_SESSIONS)
    await probe.fetchval(MIGRATIONS_TABLE_EXISTS)
    await probe.close()
    lock = await opened(server, database, session_name(0))
    await lock.fetchval(TAKE, lock_key(TENANT_LOCK_SPACE, database))
    pooled = await opened(server, database, session_name(0))
    runner = await opened(server, database, "realtime_migrations")
    await migrate(runner)
    await runner.close()
    return [lock, pooled]


async def migrate(runner: Any) -> None:
    """All migrations, and a partition for each day."""
    await runner.execute("set lock_timeout = 30000")
    await runner.fetchval("select pg_catalog.pg_advisory_lock($1)", lock_key(MIGRATION_LOCK_SPACE, ""))
    if not await runner.fetchval(SCHEMA_EXISTS):
        await runner.execute(CREATE_SCHEMA)
    if not await runner.fetchval(TABLE_EXISTS):
        await runner.execute(CREATE_TABLE)
    await runner.fetch(RECORDED)
    for migration in MIGRATIONS:
        async with runner.transaction():
            await runner.execute(EXCLUDE_OTHER_RUNNERS)
            await runner.execute(migration.statements)
            await runner.execute(RECORD, migration.version)
    for day in days_around(dt.datetime.now(dt.UTC).date()):
        async with runner.transaction():
            await runner.execute(_statements(day))


async def main() -> None:
    """Connect, say it, hold."""
    task = json.loads(sys.stdin.readline())
    server, databases = task["server"], task["databases"]
    before = footprint(os.getpid())
    places = asyncio.Semaphore(1 if task["one_by_one"] else task["at_once"])
    held: list[Any] = []
    each: list[float] = []

    async def one(database: str) -> None:
        async with places:
            begun = time.monotonic()
            held.extend(await connect(server, database))
            each.append(time.monotonic() - begun)

    begun = time.monotonic()
    await asyncio.gather(*map(one, databases))
    seconds = time.monotonic() - begun
    found = {"seconds": seconds, "each": each, "before": asdict(before), "after": asdict(footprint(os.getpid()))}
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    await asyncio.gather(*(session.close() for session in held))


if __name__ == "__main__":
    asyncio.run(main())
