from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from streams.devstack.kafka.server import KafkaServer
from streams.devstack.postgres import PostgresServer
from streams.settings import Settings
from tests.integration.worker.processes import Processes
from tests.integration.worker.scene import Scene, TenantDatabase
from tests.support.region import fresh_region


@pytest.fixture
def settings(kafka: KafkaServer) -> Settings:
    """Topics that no other test has, and times as short as a broker allows."""
    return fresh_region(
        kafka,
        "worker",
        session_timeout_ms=6_000,
        heartbeat_interval_ms=200,
        database_backoff_min_ms=100,
        database_backoff_max_ms=500,
    )


@pytest.fixture
def scene(settings: Settings) -> Scene:
    return Scene(settings)


@pytest.fixture
def processes(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Workers in processes of their own; whatever a test leaves running is killed."""
    processes = Processes(settings, tmp_path_factory.mktemp("workers"))
    yield processes
    processes.kill_all()


@pytest.fixture
async def database(settings: Settings, postgres: PostgresServer) -> AsyncIterator[TenantDatabase]:
    """The database of tenant ``t1``, which is in the catalog."""
    administrator = await postgres.superuser_connection()
    login = {"user": postgres.user, "password": postgres.password, "tls": "disable"}
    place = {"host": postgres.host, "port": postgres.port}
    entry = {"region": "local", "database": {**place, **login}, "replication": {"mode": "off"}}
    database = TenantDatabase(administrator, f"tenant_{uuid.uuid4().hex}", entry)
    await database.create(settings, "t1")
    yield database
    await database.drop()
    await administrator.close()
