"""Databases for as many tenants as are measured, on a server of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg

from streams.devstack.postgres import PostgresServer
from streams.devstack.tenant_database import ROLES

SESSIONS_PER_TENANT: Final = 3
"""The lock's, the pool's, and the one that streams."""

SPARE_CONNECTIONS: Final = 200
"""For probes, migrations and everybody else."""

Progress = Callable[[int], None]
"""Told how many are done."""

WIPED_AT_ONCE: Final = 8
"""Databases that are set back at once."""


def server(directory: Path, tenants: int, *, connections_max: int | None = None) -> PostgresServer:
    """A server with room for all of them; what is measured is not its disk."""
    connections = connections_max or SESSIONS_PER_TENANT * tenants + SPARE_CONNECTIONS
    settings = {
        "max_connections": str(connections),
        "max_wal_senders": str(tenants + 20),
        "max_replication_slots": str(tenants + 20),
        "shared_buffers": "512MB",
        "max_locks_per_transaction": "128",
        "autovacuum": "off",
    }
    return PostgresServer(directory, fsync=False, settings=settings)


def names(tenants: int) -> list[str]:
    """The tenants, and their databases."""
    return [f"tenant_{number:04}" for number in range(tenants)]


async def create(of: PostgresServer, databases: Sequence[str], progress: Progress) -> None:
    """Make the databases, empty."""
    connection = await of.superuser_connection()
    try:
        there = {row["rolname"] for row in await connection.fetch("select rolname from pg_roles")}
        for role in ROLES.keys() - there:
            await connection.execute(f"create role {role} {ROLES[role]}")
        for number, name in enumerate(databases, 1):
            await connection.execute(f"create database {name} template template0 strategy file_copy")
            progress(number)
    finally:
        await connection.close()


async def wipe(of: PostgresServer, databases: Sequence[str], progress: Progress) -> None:
    """Set every database back to where nobody had ever connected it."""
    places = asyncio.Semaphore(WIPED_AT_ONCE)
    done = 0

    async def one(name: str) -> None:
        nonlocal done
        async with places, session(of, name) as connection:
            await connection.execute("drop schema if exists realtime cascade")
        done += 1
        progress(done)

    await asyncio.gather(*map(one, databases))


@asynccontextmanager
async def session(of: PostgresServer, name: str) -> AsyncIterator[Any]:
    """A session of the superuser."""
    connection: asyncpg.Connection = await of.superuser_connection(name)
    try:
        yield connection
    finally:
        await connection.close()
