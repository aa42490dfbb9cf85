from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest

from streams.catalog.store import Catalog
from streams.catalog.validation import validate
from streams.devstack.kafka.server import KafkaServer
from streams.devstack.postgres import PostgresServer
from streams.devstack.process import free_port
from streams.settings import Settings
from tests.support.region import fresh_region


@pytest.fixture
def settings(kafka: KafkaServer) -> Settings:
    """Topics that no other test has, and a port that nobody listens on."""
    return fresh_region(kafka, "web", http_port=free_port())


@pytest.fixture
async def tenant(settings: Settings, postgres: PostgresServer) -> AsyncIterator[str]:
    """A tenant in the catalog, with a database."""
    name = f"tenant_{uuid.uuid4().hex}"
    administrator = await postgres.superuser_connection()
    await administrator.execute(f"create database {name}")
    login = {"user": postgres.user, "password": postgres.password, "tls": "disable"}
    place = {"host": postgres.host, "port": postgres.port, "name": name}
    entry = {"tenant": "t1", "region": "local", "database": {**place, **login}, "replication": {"mode": "off"}}
    Catalog(settings).put(validate(entry))
    yield "t1"
    await administrator.execute(f"drop database {name} with (force)")
    await administrator.close()
