from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from streams.catalog.entry import Database
from streams.devstack.postgres import PostgresServer
from streams.tenantdb.provision import provision
from streams.tenantdb.session import SessionLimits
from tests.integration.tenantdb.resolver import resolve

__all__ = ["resolve"]


def changed(database: Database, **fields: object) -> Database:
    """Return the same entry with other fields; checked again, other than with `model_copy`."""
    return Database.model_validate(database.model_dump() | fields)


def entry_of(server: PostgresServer, **fields: object) -> Database:
    """Return the entry of a server's own database, as the superuser, without TLS; or with other fields."""
    login = {"host": server.host, "port": server.port, "user": server.user, "password": server.password}
    return Database.model_validate({"name": "postgres", "tls": "disable", **login, **fields})


@pytest.fixture
def limits() -> SessionLimits:
    return SessionLimits(takeover_ms=5_000, close_ms=2_000)


@pytest.fixture
def today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


@pytest.fixture
async def database(postgres: PostgresServer) -> AsyncIterator[Database]:
    name = f"tenant_{uuid.uuid4().hex}"
    administrator = await postgres.superuser_connection()
    await administrator.execute(f"create database {name}")
    yield entry_of(postgres, name=name)
    await administrator.execute(f"drop database {name} with (force)")
    await administrator.close()


@pytest.fixture
async def superuser(database: Database) -> AsyncIterator[Any]:
    """A session of the superuser in the test's database, under no name of ours."""
    session = await asyncpg.connect(
        host=database.host,
        port=database.port,
        user=database.user,
        password=database.password.get_secret_value(),
        database=database.name,
    )
    yield session
    await session.close()


@pytest.fixture
async def provisioned(database: Database, limits: SessionLimits, today: dt.date) -> Database:
    await provision(database, today, limits)
    return database
