"""A worker that meets a newer claim in its tenant's database, and has heard of none on the log."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

from statemachine.events import Claimed
from streams.catalog.store import Catalog
from streams.client import ConnectClient
from streams.devstack.kafka.server import KafkaServer
from streams.errors import KafkaUnreachable, OwnershipLost
from streams.kafka.partitioner import partition_of
from streams.service.worker import Worker
from streams.settings import Settings
from streams.tenantdb.connection import TenantConnection
from streams.wire.event import encode_claim, source_of
from tests.integration.worker.scene import Scene, TenantDatabase
from tests.support.region import fresh_region
from tests.support.waiting import DEADLINE_S, until

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

NEWER: Final = 1_000_000
"""A claim that is newer than any that a worker of these tests can have."""

UNHEARD_MS: Final = 1_000
"""How long somebody waits for an answer, and some seconds more; a worker could make many attempts in that time."""


@pytest.fixture
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A broker of this test's own, which it may freeze."""
    server = KafkaServer(tmp_path_factory.mktemp("broker"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def settings(broker: KafkaServer) -> Settings:
    return fresh_region(
        broker, "newer", session_timeout_ms=6_000, database_backoff_min_ms=100, database_backoff_max_ms=500
    )


@asynccontextmanager
async def held_by_another(settings: Settings) -> AsyncIterator[None]:
    """The tenant's lock is held under a newer claim; the sessions of older ones were ended."""
    database = Catalog(settings).get("t1").database
    connection = await TenantConnection.open(database, tenant="t1", claim=NEWER)
    try:
        yield
    finally:
        await connection.close()


async def test_whoever_met_a_newer_claim_makes_no_attempt_before_the_log_has_told_that_the_own_one_counts(
    broker: KafkaServer, scene: Scene, database: TenantDatabase
) -> None:
    assert broker.pid is not None
    async with scene.working(), ConnectClient(scene.settings) as client:
        await client.connect("t1")
        with capture_logs() as logs:
            async with held_by_another(scene.settings):
                await until(lambda: _refused(logs) > 1)
                os.kill(broker.pid, signal.SIGSTOP)
                try:
                    before = _refused(logs)
                    with pytest.raises(KafkaUnreachable):
                        await client.status("t1", timeout_ms=UNHEARD_MS)
                    # The refusal before may have been followed by its proof already, and by one more attempt.
                    assert _refused(logs) <= before + 1
                finally:
                    os.kill(broker.pid, signal.SIGCONT)
                await until(lambda: _refused(logs) > before + 1)
        await until(partial(_is_held, database))


async def test_a_worker_that_only_the_database_tells_of_a_newer_claim_lets_its_partition_go_and_takes_nothing(
    scene: Scene, database: TenantDatabase
) -> None:
    worker = Worker(scene.settings)
    running = asyncio.create_task(worker.run(asyncio.Event()))
    await until(lambda: len(worker.partitions) == scene.settings.partitions)
    number = partition_of("t1", scene.settings.partitions)
    with capture_logs() as logs:
        async with held_by_another(scene.settings), ConnectClient(scene.settings) as client:
            await client.connect("t1", wait="no")
            await until(lambda: _refused(logs) > 1)
            claim = Claimed("w2", 1, term=1)
            body = encode_claim(claim, source=source_of("local", number), time=datetime.now(UTC))
            scene.produce(scene.topics.events, [(None, body)], number)
            await until(lambda: number not in worker._served())
            refused = _refused(logs)
        async with asyncio.timeout(DEADLINE_S):
            while not running.done():
                assert await database.claims() == set()
        with pytest.raises(OwnershipLost, match="w2 claimed the partition"):
            await running
    assert _refused(logs) == refused


def _refused(logs: Sequence[Mapping[str, Any]]) -> int:
    """How often the database told of a newer claim."""
    return sum(line["event"] == "claim.superseded" for line in logs)


async def _is_held(database: TenantDatabase) -> bool:
    claims = await database.claims()
    return bool(claims) and NEWER not in claims
