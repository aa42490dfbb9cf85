from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import pytest

from streams.catalog.store import Catalog
from streams.catalog.validation import validate
from streams.devstack.kafka.server import KafkaServer
from streams.devstack.postgres import PostgresServer
from streams.service.worker import Worker
from streams.settings import Settings
from tests.support import region
from tests.support.region import fresh_region

Working = Callable[[], AbstractAsyncContextManager[Worker]]


@pytest.fixture
def settings(kafka: KafkaServer) -> Settings:
    """Topics that no other test has."""
    return fresh_region(kafka, "client")


@pytest.fixture
def working(settings: Settings) -> Working:
    """Runs a worker in the test's own loop, for as long as it is entered; it owns every partition."""

    return partial(region.working, settings)


@pytest.fixture
async def worker(working: Working) -> AsyncIterator[Worker]:
    async with working() as worker:
        yield worker


@pytest.fixture
async def tenant_database(postgres: PostgresServer) -> AsyncIterator[str]:
    """A database that a worker may migrate."""
    name = f"tenant_{uuid.uuid4().hex}"
    administrator = await postgres.superuser_connection()
    await administrator.execute(f"create database {name}")
    yield name
    await administrator.execute(f"drop database {name} with (force)")
    await administrator.close()


@pytest.fixture
def tenant(settings: Settings, postgres: PostgresServer, tenant_database: str) -> str:
    """A tenant in the catalog, with a database."""
    put(settings, "t1", postgres, tenant_database)
    return "t1"


def put(settings: Settings, tenant: str, postgres: PostgresServer, database: str) -> None:
    login = {"user": postgres.user, "password": postgres.password, "tls": "disable"}
    place = {"host": postgres.host, "port": postgres.port, "name": database}
    entry = {"tenant": tenant, "region": "local", "database": {**place, **login}, "replication": {"mode": "off"}}
    Catalog(settings).put(validate(entry))


async def sessions(postgres: PostgresServer, database: str) -> list[str]:
    """The names of our connections to a tenant's database, which hold the claim."""
    question = (
        "select application_name from pg_stat_activity "
        "where datname = $1 and application_name like 'realtime_connect:%'"
    )
    rows = await _rows(postgres, question, database)
    return [row["application_name"] for row in rows]


async def locks(postgres: PostgresServer, database: str) -> int:
    """Advisory locks held in a tenant's database."""
    question = (
        "select 1 from pg_locks join pg_database on pg_database.oid = pg_locks.database "
        "where locktype = 'advisory' and granted and datname = $1"
    )
    return len(await _rows(postgres, question, database))


async def _rows(postgres: PostgresServer, question: str, database: str) -> list[Any]:
    administrator = await postgres.superuser_connection()
    try:
        rows: list[Any] = await administrator.fetch(question, database)
    finally:
        await administrator.close()
    return rows
