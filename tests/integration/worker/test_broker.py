"""A worker and its broker: what is away for a while comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from streams.client import ConnectClient
from streams.devstack.kafka.server import BACK_SOON, KafkaServer
from tests.integration.worker.scene import Scene
from tests.support.region import fresh_region

pytestmark = [pytest.mark.kafka]


@pytest.fixture
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A broker of this test's own, which it may stop."""
    server = KafkaServer(tmp_path_factory.mktemp("broker"), settings=BACK_SOON)
    server.start()
    yield server
    server.stop()


async def test_a_worker_outlives_a_restart_of_its_broker(broker: KafkaServer) -> None:
    settings = fresh_region(broker, "broker")
    scene = Scene(settings)
    tenants = [f"t{number}" for number in range(8)]
    async with scene.working() as worker:
        async with ConnectClient(settings) as client:
            await asyncio.gather(*(client.pause(tenant) for tenant in tenants))
        await asyncio.to_thread(broker.restart)
        async with ConnectClient(settings) as client:
            statuses = await asyncio.gather(*(client.resume(tenant, timeout_ms=40_000) for tenant in tenants))
        assert {status.sequence for status in statuses} == {2}
        assert len(worker.partitions) == settings.partitions
    scene.audit()
