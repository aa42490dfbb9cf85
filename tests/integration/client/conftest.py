from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from streams.catalog.crypto import new_key
from streams.catalog.store import Catalog
from streams.catalog.validation import validate
from streams.devstack.kafka.server import KafkaServer
from streams.devstack.postgres import PostgresServer
from streams.kafka.administration import apply
from streams.service.worker import Worker
from streams.settings import Settings

STOP_TIMEOUT_S = 20.0
CONDITION_TIMEOUT_S = 30.0
LOOK_INTERVAL_S = 0.05

Working = Callable[[], AbstractAsyncContextManager[Worker]]


@pytest.fixture
def settings(kafka: KafkaServer) -> Settings:
    """Topics that no other test has."""
    settings = Settings.model_validate(
        {
            "kafka": kafka.bootstrap,
            "topic_prefix": f"client-{secrets.token_hex(4)}",
            "partitions": 4,
            "encryption_keys": {"k1": new_key()},
        }
    )
    apply(settings)
    return settings


@pytest.fixture
def working(settings: Settings) -> Working:
    """Runs a worker in the test's own loop, for as long as it is entered; it owns every partition."""

    @asynccontextmanager
    async def run() -> AsyncIterator[Worker]:
        stop = asyncio.Event()
        worker = Worker(settings)
        running = asyncio.create_task(worker.run(stop))
        try:
            await until(lambda: running.done() or len(worker.partitions) == settings.partitions)
            yield worker
        finally:
            stop.set()
            await asyncio.wait_for(running, STOP_TIMEOUT_S)

    return run


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
    Catalog(settings).put(validate({"tenant": tenant, "region": "local", "database": {**place, **login}}))


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


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Return when the condition holds; fail when it does not in time."""
    async with asyncio.timeout(CONDITION_TIMEOUT_S):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(LOOK_INTERVAL_S)
