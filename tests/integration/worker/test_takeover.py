"""Workers that end, freeze and come back: one owner counts, and no command is lost or acted on twice."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import pytest

from statemachine.commands import PauseTenant, ResumeTenant
from statemachine.events import Claimed
from streams.client import ConnectClient
from streams.devstack.kafka.server import KafkaServer
from streams.kafka.partitioner import partition_of
from streams.settings import Settings
from tests.integration.worker.processes import Processes, WorkerProcess
from tests.integration.worker.scene import Scene, TenantDatabase
from tests.support.region import fresh_region
from tests.support.waiting import DEADLINE_S, until

pytestmark = pytest.mark.kafka

TENANTS = tuple(f"t{number}" for number in range(24))
PARTITIONS = [0, 1, 2, 3, 4, 5]

LONG_SESSION_MS = 90_000
"""Whoever waited for the end of a session would wait longer than any test does."""


@pytest.fixture
def settings(kafka: KafkaServer) -> Settings:
    """As many partitions as two workers, and three, can share evenly."""
    return fresh_region(
        kafka,
        "takeover",
        partitions=len(PARTITIONS),
        session_timeout_ms=6_000,
        heartbeat_interval_ms=200,
        database_backoff_min_ms=100,
        database_backoff_max_ms=500,
    )


class Load:
    """Callers who pause and resume tenants, one command after another each, for as long as it runs.

    Attributes:
        asked: the commands that were asked for, and their tenants.
        answered: the commands that were answered with OK.
    """

    def __init__(self, client: ConnectClient) -> None:
        self.asked: dict[str, str] = {}
        self.answered: set[str] = set()
        self._client = client
        self._stopping = False

    async def call(self, tenant: str) -> None:
        for number in count():
            if self._stopping:
                return
            name = f"{tenant}-{number}"
            self.asked[name] = tenant
            command = ResumeTenant() if number % 2 else PauseTenant()
            reply = await self._client.send(tenant, command, timeout_s=DEADLINE_S, command_id=name)
            assert reply.outcome == "ok"
            self.answered.add(name)

    async def more(self, each: int = 2) -> None:
        """Return when every caller has been answered that many times more."""
        before = Counter(self.asked[name] for name in self.answered)
        await until(
            lambda: all(
                answers >= before[tenant] + each
                for tenant, answers in (
                    (tenant, sum(self.asked[name] == tenant for name in self.answered)) for tenant in TENANTS
                )
            )
        )

    def stop(self) -> None:
        self._stopping = True


@asynccontextmanager
async def _load(scene: Scene) -> AsyncIterator[Load]:
    async with ConnectClient(scene.settings) as client, asyncio.TaskGroup() as callers:
        load = Load(client)
        for tenant in TENANTS:
            callers.create_task(load.call(tenant))
        try:
            yield load
        finally:
            load.stop()


async def _owning(*workers: WorkerProcess) -> None:
    """Return when the workers own all partitions between them."""
    await until(lambda: sorted(number for worker in workers for number in worker.partitions) == PARTITIONS)


async def _sharing(*workers: WorkerProcess) -> None:
    """Return when the workers own all partitions between them, and each of them some."""
    await until(lambda: all(worker.partitions for worker in workers))
    await _owning(*workers)


def _judge(scene: Scene, load: Load) -> None:
    """Every command that was asked for led to one event that counts, in the caller's order."""
    assert load.answered == load.asked.keys()
    scene.audit()
    causes = [
        entry.event.causation for entry in scene.entries() if entry.counts and not isinstance(entry.event, Claimed)
    ]
    assert Counter(causes) == Counter(load.asked.keys())
    for tenant in TENANTS:
        numbers = [int(event.causation.rpartition("-")[2]) for event in scene.timeline(tenant)]
        assert numbers == list(range(len(numbers)))


def _claims(scene: Scene) -> dict[int, list[tuple[int, str]]]:
    """Offset and worker of the claims that count, by partition."""
    found: dict[int, list[tuple[int, str]]] = {number: [] for number in PARTITIONS}
    for entry in scene.entries():
        if entry.counts and isinstance(entry.event, Claimed):
            found[entry.partition].append((entry.offset, entry.event.worker))
    return found


def _no_answer_of_a_deposed_owner(scene: Scene) -> None:
    """Each reply knows the log up to a place before the claim that followed its own."""
    claims = {number: [offset for offset, _ in made] for number, made in _claims(scene).items()}
    for replies in scene.replies().values():
        for reply in replies:
            assert reply.tenant is not None
            assert reply.position is not None
            assert reply.claim is not None
            made = claims[partition_of(reply.tenant, len(PARTITIONS))]
            assert reply.claim in made
            following = [offset for offset in made if offset > reply.claim]
            assert not following or reply.position.offset < following[0]


async def test_a_killed_worker_is_relieved_and_nothing_is_lost_or_done_twice(
    scene: Scene, processes: Processes
) -> None:
    first = processes.start("w1")
    await _owning(first)
    second = processes.start("w2")
    await _sharing(first, second)
    async with _load(scene) as load:
        await load.more()
        before = _claims(scene)
        theirs = first.partitions
        assert theirs
        first.kill()
        await until(lambda: second.partitions == PARTITIONS)
        await load.more()
    _judge(scene, load)
    _no_answer_of_a_deposed_owner(scene)
    after = _claims(scene)
    for number in theirs:
        assert after[number][-1][1] == "w2"
        assert after[number][-1][0] > before[number][-1][0]


async def test_a_frozen_worker_that_wakes_up_deposed_writes_nothing_that_counts(
    scene: Scene, processes: Processes
) -> None:
    first = processes.start("w1")
    await _owning(first)
    async with _load(scene) as load:
        await load.more()
        first.signal(signal.SIGSTOP)
        second = processes.start("w2")
        await until(lambda: second.partitions == PARTITIONS)
        relieved = {number: made[-1][0] for number, made in _claims(scene).items()}
        await load.more()
        asked_before = set(load.asked)
        first.signal(signal.SIGCONT)
        await until(lambda: first.exit_code is not None or _has_come_back(scene, relieved))
        await load.more(4)
    _judge(scene, load)
    _no_answer_of_a_deposed_owner(scene)
    for entry in scene.entries():
        if entry.offset > relieved[entry.partition] and not isinstance(entry.event, Claimed):
            assert entry.counts == (entry.event.claim >= relieved[entry.partition])
    for name, replies in scene.replies().items():
        if name not in asked_before:
            number = partition_of(load.asked[name], len(PARTITIONS))
            assert all((reply.claim or -1) >= relieved[number] for reply in replies)


def _has_come_back(scene: Scene, relieved: dict[int, int]) -> bool:
    """Whether the worker that was frozen holds partitions again."""
    return any(offset > relieved[number] for number, made in _claims(scene).items() for offset, _ in made)


async def test_a_worker_that_is_asked_to_stop_under_load_hands_over_at_once_and_loses_nothing(
    scene: Scene, processes: Processes
) -> None:
    first = processes.start("w1", session_timeout_ms=LONG_SESSION_MS)
    await _owning(first)
    second = processes.start("w2", session_timeout_ms=LONG_SESSION_MS)
    await _sharing(first, second)
    async with _load(scene) as load:
        await load.more()
        first.signal(signal.SIGTERM)
        await until(lambda: first.exit_code is not None)
        assert first.exit_code == 0
        await until(lambda: second.partitions == PARTITIONS)
        await load.more()
    _judge(scene, load)
    _no_answer_of_a_deposed_owner(scene)


async def test_three_workers_that_are_restarted_one_after_the_other_under_load_lose_nothing(
    scene: Scene, processes: Processes
) -> None:
    workers = [processes.start(name, session_timeout_ms=LONG_SESSION_MS) for name in ("w1", "w2", "w3")]
    await _sharing(*workers)
    async with _load(scene) as load:
        for number, worker in enumerate(tuple(workers)):
            await load.more()
            worker.signal(signal.SIGTERM)
            await until(lambda worker=worker: worker.exit_code == 0)  # type: ignore[misc]  # mypy infers no default
            workers[number] = processes.start(f"w{number + 1}-again", session_timeout_ms=LONG_SESSION_MS)
            await _sharing(*workers)
        await load.more()
    _judge(scene, load)
    _no_answer_of_a_deposed_owner(scene)


@pytest.mark.postgres
async def test_a_rebalance_leaves_the_sessions_of_tenants_alone_whose_partition_stays(
    scene: Scene, processes: Processes, database: TenantDatabase
) -> None:
    workers = [processes.start("w1")]
    await _owning(*workers)
    tenants = _one_of_each_partition()
    databases = [await database.another(scene.settings, tenant) for tenant in tenants]
    stayed = 0
    async with ConnectClient(scene.settings) as client:
        for tenant in tenants:
            await client.connect(tenant)
        for name in ("w2", "w3"):
            before, claims = [await each.sessions() for each in databases], _latest(scene)
            workers.append(processes.start(name))
            await _sharing(*workers)
            now = _latest(scene)
            for number in PARTITIONS:
                if now[number][1] == claims[number][1]:
                    assert now[number] == claims[number]
                    assert await databases[number].sessions() == before[number]
                    stayed += 1
        for tenant in tenants:
            assert (await client.status(tenant)).lifecycle == "ready"
    # Three stay where they are when there are two workers, and two with each of those when there are three.
    assert stayed == 7
    for tenant in tenants:
        assert scene.events(tenant) == ["connect.requested", "connect.checked", "connect.provisioned"]


def _one_of_each_partition() -> list[str]:
    """A tenant on every partition."""
    found = {partition_of(tenant, len(PARTITIONS)): tenant for tenant in TENANTS}
    return [found[number] for number in PARTITIONS]


def _latest(scene: Scene) -> dict[int, tuple[int, str]]:
    """Offset and worker of each partition's latest claim that counts."""
    return {number: made[-1] for number, made in _claims(scene).items()}


@pytest.mark.postgres
async def test_the_sessions_of_a_killed_owner_are_taken_over_and_a_tenant_stays_ready(
    scene: Scene, processes: Processes, database: TenantDatabase
) -> None:
    first = processes.start("w1")
    await _owning(first)
    async with ConnectClient(scene.settings) as client:
        await client.connect("t1")
        before = await database.sessions()
        first.signal(signal.SIGSTOP)
        second = processes.start("w2")
        await until(lambda: second.partitions == PARTITIONS)

        async def relieved() -> bool:
            sessions = await database.sessions()
            return len(sessions) == len(before) and not sessions & before

        await until(relieved)
        assert (await client.status("t1")).lifecycle == "ready"
        first.kill()
    assert scene.events("t1") == ["connect.requested", "connect.checked", "connect.provisioned"]
