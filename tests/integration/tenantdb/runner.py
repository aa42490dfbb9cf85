"""A runner of migrations in a process of its own: reads what to do from standard input, writes how many files ran."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from streams.catalog.entry import Database
from streams.tenantdb.migrate import Migration, migrate
from streams.tenantdb.naming import MIGRATIONS
from streams.tenantdb.session import SessionLimits, short_session

ROOT = Path(__file__).resolve().parents[3]


async def start(database: Database, migrations: tuple[Migration, ...]) -> asyncio.subprocess.Process:
    """Start a runner; `ran` waits for its end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.integration.tenantdb.runner"),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    entry = database.model_dump(mode="json") | {"password": database.password.get_secret_value()}
    files = [(migration.version, migration.name, migration.statements) for migration in migrations]
    assert process.stdin is not None
    process.stdin.write(json.dumps({"database": entry, "migrations": files}).encode())
    await process.stdin.drain()
    process.stdin.close()
    return process


async def ran(process: asyncio.subprocess.Process) -> int:
    """Wait for the end of a runner; return how many files it applied."""
    output, _ = await process.communicate()
    assert process.returncode == 0
    return int(output)


async def _run(order: dict[str, Any]) -> int:
    database = Database.model_validate(order["database"])
    migrations = [Migration(*file) for file in order["migrations"]]
    limits = SessionLimits()
    async with short_session(database, application_name=MIGRATIONS, limits=limits, statement_ms=100_000) as session:
        return await migrate(session, database, limits, migrations)


if __name__ == "__main__":
    sys.stdout.write(str(asyncio.run(_run(json.load(sys.stdin)))))
