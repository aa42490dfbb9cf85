"""Databases that rows are streamed from: on the server of all tests, or on one of a test's own."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg

from streams.catalog.entry import Database
from streams.devstack.postgres import PostgresServer
from streams.tenantdb.provision import provision
from streams.tenantdb.session import SessionLimits
from tests.integration.tenantdb.conditions import eventually


@contextmanager
def server(directory: Path, settings: Mapping[str, str] | None = None) -> Iterator[PostgresServer]:
    """A server of a test's own, ended without ceremony."""
    made = PostgresServer(directory, fsync=False, settings=settings)
    made.start()
    try:
        yield made
    finally:
        made.kill()


def entry(server: PostgresServer, name: str, **fields: object) -> Database:
    """The catalog's entry for a database, as the superuser."""
    whole = {"host": server.host, "port": server.port, "name": name, "user": server.user, "tls": "disable"}
    return Database.model_validate({**whole, "password": server.password, **fields})


async def connected(database: Database) -> Any:
    """A session under no name of ours."""
    return await asyncpg.connect(
        host=database.host,
        port=database.port,
        user=database.user,
        password=database.password.get_secret_value(),
        database=database.name,
        ssl=False,
    )


async def provisioned_on(database: Database) -> Database:
    """The same database, with the table of messages and partitions of today."""
    await provision(database, dt.datetime.now(dt.UTC).date(), SessionLimits())
    return database


@asynccontextmanager
async def fresh_database(server: PostgresServer) -> AsyncIterator[Database]:
    """A database that goes when nobody streams from it any more."""
    name = f"tenant_{uuid.uuid4().hex}"
    administrator = await server.superuser_connection()
    await administrator.execute(f"create database {name}")
    await administrator.close()
    try:
        yield entry(server, name)
    finally:
        administrator = await server.superuser_connection()

        async def unused() -> bool:
            await administrator.execute(
                "select pg_terminate_backend(active_pid) from pg_replication_slots where database = $1", name
            )
            return not await administrator.fetchval(
                "select count(*) from pg_replication_slots where database = $1", name
            )

        await eventually(unused, "the database has no slot")
        await administrator.execute(f"drop database {name} with (force)")
        await administrator.close()
