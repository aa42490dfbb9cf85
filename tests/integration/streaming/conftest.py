"""One broker, three servers and one region with short windows, for all tests of streaming by workers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from streams.devstack.kafka.server import BACK_SOON, KafkaServer
from streams.devstack.postgres import PostgresServer
from streams.devstack.process import free_port
from streams.settings import Settings
from tests.integration.life.region import Region, ready
from tests.integration.life.stage import Stage, staged
from tests.integration.streaming.heard import Heard, hearing
from tests.integration.worker.processes import Processes
from tests.support.region import fresh_region

SHORT: Final = {
    "session_timeout_ms": 3_000,
    "heartbeat_interval_ms": 200,
    "effects_per_server_max": 2,
    "replication_backoff_min_ms": 200,
    "replication_backoff_max_ms": 600,
    "replication_position_interval_ms": 200,
    "replication_watchdog_interval_ms": 300,
    "replication_watchdog_timeout_ms": 5_000,
    "database_backoff_min_ms": 100,
    "database_backoff_max_ms": 300,
}

SENDER_TIMEOUT_S: Final = 2


def region_of(broker: KafkaServer, name: str, **changed: Any) -> Settings:
    """Settings of a region that has its topics, with short times."""
    return fresh_region(broker, name, http_port=free_port(), **{**SHORT, **changed})


def server_of(directory: Path, **settings: str) -> Iterator[PostgresServer]:
    """A server, ended without ceremony."""
    server = PostgresServer(directory, fsync=False, settings=settings)
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A broker that is stopped and frozen, and that misses a worker soon."""
    settings = {**BACK_SOON, "group.min.session.timeout.ms": "1000"}
    server = KafkaServer(tmp_path_factory.mktemp("broker"), settings=settings)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """The server of most tenants."""
    yield from server_of(tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="session")
def small_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server with little room and little patience; tests stop it, and start it again before they end."""
    yield from server_of(
        tmp_path_factory.mktemp("small"),
        max_wal_senders="3",
        wal_sender_timeout=f"{SENDER_TIMEOUT_S}s",
        max_slot_wal_keep_size="64MB",
        max_wal_size="64MB",
        min_wal_size="32MB",
    )


@pytest.fixture(scope="session")
def region(broker: KafkaServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    """A region with one worker; in the end its log is judged."""
    settings = region_of(broker, "streaming")
    processes = Processes(settings, tmp_path_factory.mktemp("streaming"))
    try:
        region = Region(settings, processes.start("w1"))
        ready(region.worker, settings)
        yield region
        region.scene.audit()
    finally:
        processes.kill_all()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def whole_stage(region: Region, server: PostgresServer) -> AsyncIterator[Stage]:
    async with staged(region.settings, server) as stage:
        yield stage


@pytest_asyncio.fixture(loop_scope="session")
async def stage(whole_stage: Stage) -> AsyncIterator[Stage]:
    yield whole_stage
    await whole_stage.clear()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def heard(region: Region) -> AsyncIterator[Heard]:
    """What the region broadcasts."""
    async with hearing(region.settings) as heard:
        yield heard
