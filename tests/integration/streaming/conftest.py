"""One broker, three servers and one region with short windows, for all tests of streaming by workers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
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
from tests.integration.worker.scene import Scene
from tests.support.region import fresh_region

SHORT: Final = {
    "session_timeout_ms": 3_000,
    "heartbeat_interval_ms": 200,
    "effects_per_server_max": 2,
    "idle_window_ms": 1_000,
    "idle_grace_ms": 500,
    "users_check_interval_ms": 200,
    "replication_backoff_min_ms": 200,
    "replication_backoff_max_ms": 600,
    "replication_position_interval_ms": 200,
    "replication_watchdog_interval_ms": 300,
    "replication_watchdog_timeout_ms": 5_000,
    "database_connect_timeout_ms": 2_000,
    "database_backoff_min_ms": 100,
    "database_backoff_max_ms": 300,
}

SENDERS_MAX: Final = 3
SENDER_TIMEOUT: Final = timedelta(seconds=2)


def region_of(broker: KafkaServer, name: str, **changed: Any) -> Settings:
    """Settings of a region that has its topics, with short times."""
    return fresh_region(broker, name, **{**SHORT, **changed})


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
        max_wal_senders=f"{SENDERS_MAX}",
        wal_sender_timeout=f"{SENDER_TIMEOUT.seconds}s",
        max_slot_wal_keep_size="64MB",
        max_wal_size="64MB",
        min_wal_size="32MB",
    )


@contextmanager
def workers_of(settings: Settings, directory: Path) -> Iterator[Processes]:
    """Workers of a region, whose log is judged in the end."""
    processes = Processes(settings, directory)
    try:
        yield processes
        Scene(settings).audit()
    finally:
        processes.kill_all()


@pytest.fixture(scope="session")
def region(broker: KafkaServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    """A region with one worker."""
    settings = region_of(broker, "streaming", http_port=free_port())
    with workers_of(settings, tmp_path_factory.mktemp("streaming")) as workers:
        region = Region(settings, workers.start("w1"))
        ready(region.worker, settings)
        yield region


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
