from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import pytest

from streams.catalog.entry import Database
from streams.devstack.kafka.server import KafkaServer
from streams.devstack.postgres import PostgresServer
from streams.tenantdb.provision import provision
from streams.tenantdb.session import SessionLimits
from tests.integration.replication.place import connected, fresh_database
from tests.integration.replication.scene import Scene, scene_of


@pytest.fixture
async def database(postgres: PostgresServer) -> AsyncIterator[Database]:
    async with fresh_database(postgres) as made:
        yield made


@pytest.fixture
async def superuser(database: Database) -> AsyncIterator[Any]:
    """A session of the superuser in the test's database, under no name of ours."""
    session = await connected(database)
    yield session
    await session.close()


@pytest.fixture
async def provisioned(database: Database) -> Database:
    await provision(database, dt.datetime.now(dt.UTC).date(), SessionLimits())
    return database


@pytest.fixture
async def scene(kafka: KafkaServer, provisioned: Database) -> AsyncIterator[Scene]:
    async with scene_of(kafka, provisioned) as made:
        yield made
