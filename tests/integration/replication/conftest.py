from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from streams.catalog.entry import Database
from streams.devstack.kafka.server import KafkaServer
from streams.devstack.postgres import PostgresServer
from tests.integration.replication.place import connected, fresh_database, provisioned_on
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
    return await provisioned_on(database)


@pytest.fixture
async def scene(kafka: KafkaServer, provisioned: Database) -> AsyncIterator[Scene]:
    async with scene_of(kafka, provisioned) as made:
        yield made
