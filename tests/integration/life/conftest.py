"""Two regions for all tests of a tenant's life: one with the times that operators know, one in which they are short."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import pytest
import pytest_asyncio

from streams.devstack.kafka.server import KafkaServer
from streams.devstack.postgres import PostgresServer
from tests.integration.life.killed import killed
from tests.integration.life.region import Region, begun, ready
from tests.integration.life.stage import Stage, staged

__all__ = ["killed"]

FAILURES_WINDOW_MS: Final = 3_000

CALM: Final[dict[str, Any]] = {
    "regions": {"nearby": "local"},
    "connect_failures_window_ms": FAILURES_WINDOW_MS,
    "partitions_retry_ms": 300,
    "database_backoff_min_ms": 60_000,
    "database_backoff_max_ms": 60_000,
}

SHORT: Final = {
    "database_recovery_window_ms": 3_000,
    "idle_window_ms": 800,
    "idle_grace_ms": 1_200,
    "users_check_interval_ms": 200,
    "reconnect_interval_ms": 300,
    "housekeeping_interval_ms": 700,
    "housekeeping_jitter_max_ms": 1,
    "partitions_retry_ms": 300,
    "database_backoff_min_ms": 100,
    "database_backoff_max_ms": 300,
}


@pytest.fixture(scope="session")
def regions(kafka: KafkaServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Region]]:
    """Both regions; their workers start at the same time."""
    directory = tmp_path_factory.mktemp("life")
    with (
        begun(kafka, "calm", directory / "calm", **CALM) as calm,
        begun(kafka, "hasty", directory / "hasty", **SHORT) as hasty,
    ):
        yield {"calm": calm, "hasty": hasty}


@pytest.fixture(scope="session")
def calm_region(regions: dict[str, Region]) -> Region:
    """Times as they are unless set; a lost database is tried at once and then not for a while."""
    ready(regions["calm"].worker, regions["calm"].settings)
    return regions["calm"]


@pytest.fixture(scope="session")
def hasty_region(regions: dict[str, Region]) -> Region:
    """Every window is over within seconds."""
    ready(regions["hasty"].worker, regions["hasty"].settings)
    return regions["hasty"]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server that makes and drops databases without waiting for the disk."""
    server = PostgresServer(tmp_path_factory.mktemp("life"), fsync=False)
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def small_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A second server, with little room; tests may stop it, and start it again before they end."""
    server = PostgresServer(
        tmp_path_factory.mktemp("small"), fsync=False, settings={"max_connections": "40", "max_wal_senders": "2"}
    )
    server.start()
    yield server
    server.kill()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def calm_stage(calm_region: Region, server: PostgresServer) -> AsyncIterator[Stage]:
    async with staged(calm_region.settings, server) as stage:
        yield stage


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def hasty_stage(hasty_region: Region, server: PostgresServer) -> AsyncIterator[Stage]:
    async with staged(hasty_region.settings, server) as stage:
        yield stage


@pytest_asyncio.fixture(loop_scope="session")
async def calm(calm_stage: Stage) -> AsyncIterator[Stage]:
    yield calm_stage
    await calm_stage.clear()


@pytest_asyncio.fixture(loop_scope="session")
async def hasty(hasty_stage: Stage) -> AsyncIterator[Stage]:
    yield hasty_stage
    await hasty_stage.clear()
