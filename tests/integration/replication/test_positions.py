from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # documented there, missing from its list of exports
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from streams.devstack.kafka.server import KafkaServer
from streams.devstack.process import free_port
from streams.errors import DeliveryFailed, OwnershipLost, TopicsDiffer
from streams.kafka.clients import admin, consumer_configuration, producer
from streams.kafka.compacted import latest
from streams.log.reader import Record, Stretch, open_consumer, read, stretches
from streams.replication.positions import Positions
from streams.settings import Settings
from streams.topics import Topics
from streams.wire.position import ResumePoint, fenced_claim
from tests.support.region import fresh_region
from tests.support.waiting import DEADLINE_S, until

pytestmark = pytest.mark.kafka

FLUSH_SECONDS: Final = 20.0
AT: Final = datetime(2030, 1, 1, tzinfo=UTC)


def a_point(claim: int, lsn: int, tenant: str = "t1") -> ResumePoint:
    return ResumePoint(tenant, claim, 2**40, lsn, "7234567890123456789", 1, AT)


def region(kafka: KafkaServer, **changed: Any) -> Settings:
    return fresh_region(kafka, "positions", **{"partitions": 1, **changed})


@asynccontextmanager
async def fenced(settings: Settings, claim: int) -> AsyncIterator[Positions]:
    """The positions in the hands of a worker that fenced partition 0."""
    positions = Positions(settings)
    try:
        async with asyncio.timeout(DEADLINE_S):
            await positions.fence(0, claim)
        yield positions
    finally:
        await positions.close()


def written(settings: Settings, *records: tuple[bytes | None, bytes | None]) -> None:
    """Somebody else wrote these."""
    client = producer(settings)
    for key, value in records:
        client.produce(Topics(settings).positions, value, key, 0)
    assert client.flush(FLUSH_SECONDS) == 0


def everything(settings: Settings) -> tuple[Stretch, list[Record]]:
    """How far the partition reaches, and what is in it."""
    topic = Topics(settings).positions
    with open_consumer(consumer_configuration(settings, "test")) as consumer:
        (stretch,) = stretches(consumer, topic, [0])
        return stretch, list(read(consumer, topic, [stretch]))


async def test_a_point_is_there_for_whoever_comes_next(kafka: KafkaServer) -> None:
    settings = region(kafka)
    async with fenced(settings, 3) as first:
        assert first.point("t1") is None
        for point in (a_point(3, 1), a_point(3, 5, "t2"), a_point(3, 2)):
            await first.write(point)
        assert first.point("t1") == a_point(3, 2)
    async with fenced(settings, 8) as second:
        assert second.point("t1") == a_point(3, 2)
        assert second.point("t2") == a_point(3, 5, "t2")
        assert second.point("t3") is None


async def test_a_point_that_a_deposed_owner_writes_is_void(kafka: KafkaServer) -> None:
    settings = region(kafka)
    async with fenced(settings, 3) as deposed:
        await deposed.write(a_point(3, 1))
        async with fenced(settings, 8):
            await deposed.write(a_point(3, 900))
    async with fenced(settings, 9) as third:
        assert third.point("t1") == a_point(3, 1)


async def test_a_deposed_owner_that_fences_again_learns_of_it(kafka: KafkaServer) -> None:
    settings = region(kafka)
    async with fenced(settings, 8) as newer:
        await newer.write(a_point(8, 1))
        deposed = Positions(settings)
        with pytest.raises(OwnershipLost, match="claim 3"):
            await deposed.fence(0, 3)
        with pytest.raises(OwnershipLost):
            deposed.point("t1")
        await deposed.close()
    async with fenced(settings, 9) as third:
        assert third.point("t1") == a_point(8, 1)


async def test_points_can_only_be_had_of_a_partition_that_is_fenced(kafka: KafkaServer) -> None:
    settings = region(kafka)
    positions = Positions(settings)
    with pytest.raises(OwnershipLost):
        positions.point("t1")
    with pytest.raises(OwnershipLost):
        await positions.write(a_point(3, 1))
    await positions.fence(0, 3)
    with pytest.raises(OwnershipLost, match="claim 2"):
        await positions.write(a_point(2, 1))
    await positions.write(a_point(3, 1))
    positions.forget(0)
    with pytest.raises(OwnershipLost):
        positions.point("t1")
    await positions.close()


async def test_a_partition_that_is_let_go_of_while_it_is_read_stays_let_go(kafka: KafkaServer) -> None:
    positions = Positions(region(kafka))
    fencing = asyncio.create_task(positions.fence(0, 3))
    await asyncio.sleep(0)
    positions.forget(0)
    with pytest.raises(OwnershipLost):
        await asyncio.wait_for(fencing, DEADLINE_S)
    with pytest.raises(OwnershipLost):
        positions.point("t1")
    await positions.close()


async def test_a_partition_that_is_fenced_is_not_fenced_again(kafka: KafkaServer) -> None:
    settings = region(kafka)
    async with fenced(settings, 3) as positions:
        await positions.fence(0, 3)
        _, records = everything(settings)
        assert len(records) == 1


async def test_the_point_of_a_tenant_that_was_removed_is_gone(kafka: KafkaServer) -> None:
    settings = region(kafka)
    async with fenced(settings, 3) as first:
        await first.write(a_point(3, 1))
        await first.remove("t1")
        assert first.point("t1") is None
    async with fenced(settings, 4) as second:
        assert second.point("t1") is None


async def test_records_that_cannot_be_read_stop_nothing(kafka: KafkaServer) -> None:
    settings = region(kafka)
    async with fenced(settings, 3) as first:
        await first.write(a_point(3, 1))
        written(settings, (b"t1", b"{"), (None, b"{}"), (b"\xff", None), (b"\x00claim:x", b"{}"), (b"t2", None))
        await first.write(a_point(3, 5, "t9"))
    async with fenced(settings, 4) as second:
        assert second.point("t1") == a_point(3, 1)
        assert second.point("t9") == a_point(3, 5, "t9")


async def test_partitions_are_fenced_side_by_side(kafka: KafkaServer) -> None:
    settings = region(kafka, partitions=8)
    positions = Positions(settings)
    async with asyncio.timeout(DEADLINE_S):
        await asyncio.gather(*(positions.fence(partition, 3) for partition in range(8)))
        points = [a_point(3, number, f"t{number}") for number in range(200)]
        await asyncio.gather(*(positions.write(point) for point in points))
        await asyncio.gather(*(positions.fence(partition, 4) for partition in range(8)))
    assert [positions.point(point.tenant) for point in points] == points
    await positions.close()


async def test_old_fences_are_removed_once_they_are_not_needed(kafka: KafkaServer) -> None:
    settings = region(kafka)

    def fences() -> list[int | None]:
        return [fenced_claim(key) for key in latest(settings, Topics(settings).positions)]

    for claim in (3, 8):
        async with fenced(settings, claim) as positions:
            await positions.write(a_point(claim, claim))
    assert fences().count(None) == 1
    assert [claim for claim in fences() if claim is not None] == [8]


async def test_fences_stay_as_long_as_a_void_point_is_there(kafka: KafkaServer) -> None:
    settings = region(kafka)
    async with fenced(settings, 3) as deposed:
        async with fenced(settings, 8):
            await deposed.write(a_point(3, 900))
        for claim in (9, 10):
            async with fenced(settings, claim) as later:
                assert later.point("t1") is None
    claims = {fenced_claim(key) for key in latest(settings, Topics(settings).positions)}
    assert claims == {None, 8, 9, 10}


async def test_a_topic_that_is_not_there_is_told_within_a_bound(kafka: KafkaServer) -> None:
    settings = region(kafka, delivery_timeout_ms=1000).model_copy(update={"region": "elsewhere"})
    positions = Positions(settings)
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises((DeliveryFailed, TopicsDiffer)):
            await positions.fence(0, 3)
        await positions.close()


async def test_a_broker_that_is_not_there_is_told_within_a_bound() -> None:
    settings = Settings.model_validate({"kafka": f"127.0.0.1:{free_port()}", "delivery_timeout_ms": 500})
    positions = Positions(settings)
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(DeliveryFailed):
            await positions.fence(0, 3)
        await positions.close()
        with pytest.raises(DeliveryFailed):
            await positions.fence(0, 3)


@pytest.fixture(scope="module")
def compacting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A broker that compacts as soon as it can."""
    server = KafkaServer(tmp_path_factory.mktemp("compacting"), settings={"log.cleaner.backoff.ms": "100"})
    server.start()
    yield server
    server.stop()


async def compact_at_once(settings: Settings) -> None:
    wanted = {"segment.ms": "50", "min.cleanable.dirty.ratio": "0.001", "delete.retention.ms": "0"}
    entries = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in wanted.items()]
    resource = ConfigResource(ResourceType.TOPIC, Topics(settings).positions, incremental_configs=entries)
    client = admin(settings)
    for answer in client.incremental_alter_configs([resource]).values():
        await asyncio.wrap_future(answer)


async def test_what_a_deposed_owner_wrote_stays_void_when_the_topic_is_compacted(compacting: KafkaServer) -> None:
    settings = region(compacting)
    await compact_at_once(settings)
    async with fenced(settings, 3) as deposed:
        await deposed.write(a_point(3, 1))
        await deposed.write(a_point(3, 7, "t2"))
        async with fenced(settings, 8) as second:
            await deposed.write(a_point(3, 900))
            await second.write(a_point(8, 2, "t2"))

    def compacted() -> bool:
        # A segment is closed, and so can be compacted, when a later record comes.
        written(settings, (b"filler", None))
        stretch, records = everything(settings)
        points = [record.key for record in records if record.key in {b"t1", b"t2"}]
        return len(points) == 2 and len(records) < stretch.end

    await until(compacted)
    async with fenced(settings, 9) as third:
        # The point before the void one is gone, so the tenant has none: rows are read back by their time instead.
        assert third.point("t1") is None
        assert third.point("t2") == a_point(8, 2, "t2")
