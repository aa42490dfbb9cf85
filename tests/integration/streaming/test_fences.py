"""What a worker remembers of a partition's points: from its fence until the partition is let go of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from streams.devstack.kafka.server import KafkaServer
from streams.devstack.postgres import PostgresServer
from streams.effects.fences import Fences
from streams.errors import OwnershipLost
from streams.replication.positions import Positions
from streams.settings import Settings
from streams.topics import Topics
from streams.worker.places import place_of
from tests.integration.life.stage import staged
from tests.integration.streaming.conftest import region_of
from tests.integration.streaming.place import streamed
from tests.integration.worker.scene import Scene
from tests.support.region import working

pytestmark = [pytest.mark.kafka, pytest.mark.asyncio(loop_scope="session")]

TENANT = "t1"


@pytest.fixture(scope="module")
def settings(broker: KafkaServer) -> Settings:
    return region_of(broker, "fences")


@pytest_asyncio.fixture(loop_scope="session")
async def positions(settings: Settings) -> AsyncIterator[Positions]:
    positions = Positions(settings)
    yield positions
    await positions.close()


def written(settings: Settings) -> int:
    """How many fences were written."""
    return len([record for record in Scene(settings).records(Topics(settings).positions) if record.value])


async def test_a_partition_that_was_let_go_of_is_fenced_anew(settings: Settings, positions: Positions) -> None:
    fences, partition = Fences(positions, settings.partitions), place_of(TENANT, settings.partitions)
    before = written(settings)
    for _ in range(2):
        await fences.ready(TENANT, 10)
    assert (positions.point(TENANT), written(settings)) == (None, before + 1)
    fences.forget(partition, 10)
    with pytest.raises(OwnershipLost):
        positions.point(TENANT)
    await fences.ready(TENANT, 10)
    assert (positions.point(TENANT), written(settings)) == (None, before + 2)


async def test_work_under_an_older_claim_that_is_still_being_ended_takes_nothing_from_the_newer_one(
    settings: Settings, positions: Positions
) -> None:
    fences, partition = Fences(positions, settings.partitions), place_of(TENANT, settings.partitions)
    await fences.ready(TENANT, 20)
    await fences.ready(TENANT, 21)
    before = written(settings)
    with pytest.raises(OwnershipLost):
        await fences.ready(TENANT, 20)
    fences.forget(partition, 20)
    assert (positions.point(TENANT), written(settings)) == (None, before)


@pytest.mark.postgres
async def test_a_worker_that_lets_go_remembers_no_points(
    broker: KafkaServer, server: PostgresServer, tmp_path: Path
) -> None:
    settings = region_of(broker, "memory", data_dir=tmp_path)
    async with working(settings) as worker:
        async with staged(settings, server) as stage:
            tenant = await streamed(stage)
            assert worker._positions.point(tenant.name) is not None
        assert worker._positions._standing.keys() == {place_of(tenant.name, settings.partitions)}
    assert worker._positions._standing == {}
