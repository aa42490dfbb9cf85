"""An owner that is killed in the middle of everything: the next one misses no row and moves no deadline."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final

import pytest
import pytest_asyncio

from streams.devstack.kafka.server import KafkaServer
from streams.devstack.postgres import PostgresServer
from tests.integration.life.region import ready
from tests.integration.life.stage import Stage, Tenant, Told, ended, staged
from tests.integration.streaming.conftest import region_of, workers_of
from tests.integration.streaming.heard import Heard, hearing
from tests.integration.streaming.place import own_slot, slots, streamed, tenant_of, walsenders
from tests.integration.streaming.writing import Writers, write, writing
from tests.integration.worker.scene import Scene

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.asyncio(loop_scope="session")]

DELAY: Final = timedelta(seconds=6)
WINDOW: Final = timedelta(seconds=14)
WINDOWS: Final = {
    "idle_window_ms": 600_000,
    "replication_backoff_min_ms": DELAY // timedelta(milliseconds=1),
    "replication_backoff_max_ms": DELAY // timedelta(milliseconds=1),
    "replication_recovery_window_ms": WINDOW // timedelta(milliseconds=1),
}


class Obstacle:
    """Somebody holds a tenant's slot, so that its stream was put off.

    Attributes:
        tenant: whose.
        told: the event that said so.
    """

    def __init__(self, tenant: Tenant, told: Told, session: Any) -> None:
        self.tenant = tenant
        self.told = told
        self._session = session

    async def go(self) -> None:
        await self._session.close()


@dataclass(frozen=True)
class Killed:
    """A region whose owner was killed; another one has taken over.

    Attributes:
        stage: its tenants.
        heard: its broadcasts.
        streamed: its rows were streamed, and written all the time.
        writers: wrote them.
        forgotten: the same, but its point to resume from was lost meanwhile.
        forgotten_ids: its rows that were written meanwhile.
        blocked: its stream was put off, and is until the window ends.
        freed: its stream was put off; what stood in the way went meanwhile.
        retried: its stream was put off; what stands in the way goes when the test says.
    """

    stage: Stage
    heard: Heard
    streamed: Tenant
    writers: Writers
    forgotten: Tenant
    forgotten_ids: list[str]
    blocked: Obstacle
    freed: Obstacle
    retried: Obstacle


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def killed(
    broker: KafkaServer, server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Killed]:
    settings = region_of(broker, "killed", **WINDOWS)
    scene = Scene(settings)
    with workers_of(settings, tmp_path_factory.mktemp("killed")) as workers:
        first = workers.start("w1")
        ready(first, settings)
        async with staged(settings, server) as stage, hearing(settings) as heard:
            running, forgotten = await streamed(stage), await streamed(stage)
            await heard.has(forgotten.name, await write(forgotten))
            blocked, freed, retried = [await _obstructed(stage) for _ in range(3)]
            async with writing(running) as writers:
                await writers.more(50)
                first.kill()
                scene.produce(scene.topics.positions, [(forgotten.name.encode(), None)])
                ids = await write(forgotten, 10)
                await freed.go()
                await writers.more(50)
                ready(workers.start("w2"), settings)
                await writers.more(50)
            yield Killed(stage, heard, running, writers, forgotten, ids, blocked, freed, retried)
            for obstacle in (blocked, freed, retried):
                await obstacle.go()
            await stage.clear()


async def _obstructed(stage: Stage) -> Obstacle:
    tenant = await tenant_of(stage)
    session = await tenant.administrator()
    await session.execute("select pg_create_logical_replication_slot($1, 'pgoutput', true)", own_slot(tenant))
    await stage.client.connect(tenant.name)
    told = await tenant.reaches("replication.postponed")
    assert told.data.next_attempt_at == told.time + DELAY
    assert told.data.recovery_until == told.time + WINDOW
    return Obstacle(tenant, told, session)


async def test_rows_that_are_written_while_the_owner_is_dead_are_heard(killed: Killed) -> None:
    tenant = killed.streamed
    *_, started = await tenant.up_to("replication.started")
    await killed.heard.has(tenant.name, killed.writers.committed)
    assert set(killed.heard.ids(tenant.name)) == killed.writers.committed
    claims = {broadcast.claim for broadcast in killed.heard.of(tenant.name)}
    assert started.claim == max(claims)
    assert len(claims) == 2
    assert len(await slots(tenant)) == len(await walsenders(tenant)) == 1
    assert {name.partition(":")[2] for name in (await tenant.sessions()).values()} == {str(started.claim)}


async def test_a_point_that_was_lost_is_a_gap_and_rows_are_found_by_their_time(killed: Killed) -> None:
    tenant = killed.forgotten
    *_, started = await tenant.up_to("replication.started")
    (gap,) = await tenant.next("replication.gap")
    assert started.data.resumed_from is None
    assert (gap.data.from_lsn, gap.data.to_lsn) == (None, started.data.delivers_from_lsn)
    assert (gap.data.cause, gap.data.recovered_by) == ("no_resume_point", "inserted_at")
    await killed.heard.has(tenant.name, killed.forgotten_ids)


async def test_the_next_owner_tries_when_the_one_before_would_have(killed: Killed) -> None:
    freed = killed.freed
    *before, started = await freed.tenant.up_to("replication.started")
    told = [freed.told, *before][-1]
    assert started.claim > told.claim
    assert started.time >= told.data.next_attempt_at
    await killed.heard.has(freed.tenant.name, await write(freed.tenant))


async def test_an_operator_has_it_tried_at_once(killed: Killed) -> None:
    retried, claim = killed.retried, killed.retried.told.claim
    while claim == retried.told.claim:
        claim = (await retried.tenant.reaches("replication.postponed")).claim
    await retried.go()
    status = await killed.stage.client.retry(retried.tenant.name, reason="it is free", author="ada")
    assert status.deadlines["replication_recovery"] == retried.told.data.recovery_until
    told, started = await retried.tenant.next("connect.retried", "replication.started")
    assert (told.data.reason, told.data.author) == ("it is free", "ada")
    assert started.time < told.time + DELAY


async def test_a_stream_that_stays_away_stops_its_tenant_when_the_first_owners_window_ends(killed: Killed) -> None:
    told, tenant = killed.blocked.told, killed.blocked.tenant
    *postponed, stopping = await tenant.up_to("connect.stopping")
    for before, after in pairwise([told, *postponed]):
        assert after.data.type == "replication.postponed"
        assert after.time >= before.data.next_attempt_at
        assert after.data.recovery_until == told.data.recovery_until
    assert stopping.claim == postponed[-1].claim > told.claim
    (stopped,) = await tenant.next("connect.stopped")
    exceeded = ("replication_recovery_window_exceeded", "ReplicationRecoveryWindowExceeded")
    assert ended(stopping) == ended(stopped) == exceeded
    assert stopping.causation == "timer:replication_recovery"
    assert stopping.time >= told.data.recovery_until
    assert (await tenant.sessions(), await tenant.locks()) == ({}, 0)
    await killed.blocked.go()
