"""Two workers: rows go over from one to the other under writers, asked for or not, and none is missing."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from streams.devstack.kafka.server import KafkaServer
from streams.devstack.postgres import PostgresServer
from streams.kafka.partitioner import partition_of
from streams.settings import Settings
from streams.wire.broadcast import decode_broadcast
from tests.integration.life.region import ready
from tests.integration.life.stage import Stage, Tenant, staged
from tests.integration.streaming.conftest import SHORT, region_of, workers_of
from tests.integration.streaming.heard import Heard, hearing
from tests.integration.streaming.place import slots, streamed, walsenders
from tests.integration.streaming.writing import Writers, writing
from tests.integration.worker.processes import Processes, WorkerProcess
from tests.integration.worker.scene import Scene
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.asyncio(loop_scope="session")]

PARTITIONS = 2
SESSION_TIMEOUT = timedelta(milliseconds=SHORT["session_timeout_ms"])


@pytest.fixture
def settings(broker: KafkaServer) -> Settings:
    return region_of(broker, "handover", partitions=PARTITIONS, idle_window_ms=600_000)


@pytest.fixture
def workers(settings: Settings, tmp_path: Path) -> Iterator[Processes]:
    with workers_of(settings, tmp_path / "workers") as workers:
        yield workers


@asynccontextmanager
async def playing(settings: Settings, server: PostgresServer) -> AsyncIterator[tuple[Stage, Heard]]:
    async with staged(settings, server) as stage, hearing(settings) as heard:
        yield stage, heard
        await stage.clear()


async def spread(stage: Stage) -> list[Tenant]:
    """Tenants that are streamed, in every partition."""
    tenants: list[Tenant] = []
    while len({partition_of(tenant.name, PARTITIONS) for tenant in tenants}) < PARTITIONS:
        tenants.append(await streamed(stage))
    return tenants


async def owning(*workers: WorkerProcess) -> None:
    """Return when the workers own all partitions between them, each at least one."""

    def shared() -> bool:
        return sorted(number for worker in workers for number in worker.partitions) == list(range(PARTITIONS)) and all(
            worker.partitions for worker in workers
        )

    await until(shared)


async def complete(heard: Heard, tenant: Tenant, writers: Writers, scene: Scene) -> None:
    """Every row was heard, no gap was told, and one owner is left."""
    await heard.has(tenant.name, writers.committed)
    assert set(heard.ids(tenant.name)) == writers.committed
    assert "replication.gap" not in scene.events(tenant.name)

    async def alone() -> bool:
        claim = scene.timeline(tenant.name)[-1].claim
        names = (await tenant.sessions()).values()
        return {name.partition(":")[2] for name in names} == {str(claim)} and await tenant.locks() == 1

    await until(alone)
    assert len(await slots(tenant)) == len(await walsenders(tenant)) == 1


async def test_nothing_is_missing_where_a_worker_joins_and_another_is_asked_to_go(
    settings: Settings, workers: Processes, server: PostgresServer
) -> None:
    first = workers.start("w1")
    ready(first, settings)
    async with playing(settings, server) as (stage, heard):
        tenants = await spread(stage)
        async with AsyncExitStack() as opened:
            writers = [await opened.enter_async_context(writing(tenant, 2)) for tenant in tenants]

            async def more() -> None:
                await asyncio.gather(*(each.more(20) for each in writers))

            await more()
            second = workers.start("w2")
            await owning(first, second)
            await more()
            first.signal(signal.SIGTERM)
            await until(lambda: first.exit_code is not None)
            assert first.exit_code == 0
            await owning(second)
            await more()
        for tenant, each in zip(tenants, writers, strict=True):
            await complete(heard, tenant, each, Scene(settings))
    assert [line for line in first.lines() if line.get("event") == "worker.stop_incomplete"] == []


async def test_what_a_frozen_owner_still_sends_is_not_heard_and_nothing_is_missing(
    settings: Settings, workers: Processes, server: PostgresServer
) -> None:
    scene = Scene(settings)
    first = workers.start("w1")
    ready(first, settings)
    async with playing(settings, server) as (stage, heard):
        tenant = await streamed(stage)
        (frozen,) = await walsenders(tenant)
        async with writing(tenant) as writers:
            await writers.more(30)
            first.signal(signal.SIGSTOP)
            # What its server sends it meanwhile waits for it in the socket.
            await writers.more(30)
            ready(workers.start("w2"), settings)
            started = await tenant.reaches("replication.started")
            sessions = await tenant.sessions()
            assert frozen not in sessions
            assert {name.partition(":")[2] for name in sessions.values()} == {str(started.claim)}
            assert await tenant.locks() == 1
            await writers.more(30)
            first.signal(signal.SIGCONT)
            thawed = datetime.now(UTC)
            await until(lambda: bool(void(scene, tenant)))
            await writers.more(30)
            # By then a worker that was not given anything again would have ended.
            await until(lambda: datetime.now(UTC) > thawed + 3 * SESSION_TIMEOUT)
        assert not void(scene, tenant) & {(each.claim, each.lsn, each.ordinal) for each in heard.of(tenant.name)}
        await complete(heard, tenant, writers, scene)
    assert first.exit_code is None


def void(scene: Scene, tenant: Tenant) -> set[tuple[int, str, int]]:
    """Claim and place of the tenant's broadcasts that stand behind those of a newer claim."""
    found: set[tuple[int, str, int]] = set()
    highest = -1
    partition = partition_of(tenant.name, PARTITIONS)
    for record in scene.records(scene.topics.broadcasts):
        if record.partition == partition:
            broadcast = decode_broadcast(record.value, "test")
            if broadcast.claim < highest:
                found.add((broadcast.claim, broadcast.lsn, broadcast.ordinal))
            highest = max(highest, broadcast.claim)
    return found
