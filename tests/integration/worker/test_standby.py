"""Standbys: a worker that follows a partition knows all that its owner wrote, and owns it without reading it again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from statemachine.commands import PauseTenant, ResumeTenant
from streams.client import ConnectClient
from streams.kafka.partitioner import partition_of
from streams.service.worker import Worker
from streams.settings import Settings
from tests.integration.snapshots.place import Place, everything, folding, owned
from tests.integration.worker.processes import Processes, WorkerProcess
from tests.integration.worker.scene import Scene
from tests.support.waiting import DEADLINE_S, until

pytestmark = pytest.mark.kafka

TENANTS = [f"t{number}" for number in range(24)]
OFF = {"snapshot_interval_ms": 0}
"""So that nothing but following keeps a state warm."""


@asynccontextmanager
async def two_workers(settings: Settings) -> AsyncIterator[tuple[Worker, Worker, asyncio.Event]]:
    """Two workers that share the partitions, and what stops the first."""
    stops = asyncio.Event(), asyncio.Event()
    workers = [Worker(settings.model_copy(update={**OFF, "worker_name": name})) for name in ("w1", "w2")]
    half = settings.partitions // 2
    async with asyncio.TaskGroup() as running:
        for worker, stop in zip(workers, stops, strict=True):
            running.create_task(worker.run(stop))
        try:
            await until(lambda: [len(worker.partitions) for worker in workers] == [half, half])
            yield workers[0], workers[1], stops[0]
        finally:
            for stop in stops:
                stop.set()


def _one_in(partition: int, settings: Settings) -> str:
    return next(tenant for tenant in TENANTS if partition_of(tenant, settings.partitions) == partition)


@asynccontextmanager
async def beside(first: WorkerProcess, settings: Settings) -> AsyncIterator[Worker]:
    """A worker in the test's own loop that shares the partitions with another process."""
    stop, half = asyncio.Event(), settings.partitions // 2
    await until(lambda: len(first.partitions) == settings.partitions)
    worker = Worker(settings.model_copy(update={**OFF, "worker_name": "w2"}))
    async with asyncio.TaskGroup() as running:
        running.create_task(worker.run(stop))
        try:
            await until(lambda: [len(worker.partitions), len(first.partitions)] == [half, half])
            yield worker
        finally:
            stop.set()


async def test_a_standby_of_a_worker_that_was_killed_owns_without_reading_the_log_again(
    scene: Scene, processes: Processes
) -> None:
    first = processes.start("w1", **OFF)
    log = Place(scene.settings)
    async with beside(first, scene.settings) as second, ConnectClient(scene.settings) as client:
        for command in (PauseTenant(), ResumeTenant(), PauseTenant()):
            for tenant in TENANTS:
                assert (await client.send(tenant, command, timeout_s=DEADLINE_S)).outcome == "ok"
        theirs = {number: log.folded(number) for number in first.partitions}
        await until(lambda: all(second._registry.folded(number) == state.folded for number, state in theirs.items()))
        with folding() as folded:
            first.kill()
            # What it had still sent arrives late: under a claim that is deposed then, so it counts for nobody.
            await until(lambda: len(second.partitions) == scene.settings.partitions)
            for number, state in theirs.items():
                assert state.claim is not None
                log.void(number, _one_in(number, scene.settings), claim=state.claim.offset)
            for tenant in TENANTS:
                assert (await client.resume(tenant, timeout_ms=int(DEADLINE_S * 1000))).lifecycle == "absent"
        assert {number: folded[number][0] for number in theirs} == {
            number: state.folded + 1 for number, state in theirs.items()
        }
        for number, state in (await owned(second)).items():
            assert everything(state) == everything(log.folded(number, state.folded + 1))
    assert scene.audit().void > 0


async def test_a_standby_has_the_owner_s_state_and_takes_over_without_reading_the_log_again(scene: Scene) -> None:
    async with two_workers(scene.settings) as (first, second, stop), ConnectClient(scene.settings) as client:
        for command in (PauseTenant(), ResumeTenant(), PauseTenant()):
            for tenant in TENANTS:
                assert (await client.send(tenant, command, timeout_s=DEADLINE_S)).outcome == "ok"
        theirs = {number: owned.state for number, owned in first._registry.owned.items()}
        await until(lambda: all(second._registry.folded(number) == state.folded for number, state in theirs.items()))
        for number, state in theirs.items():
            assert everything(second._registry._states[number]) == everything(state)
        before = {number: state.folded for number, state in theirs.items()}
        with folding() as folded:
            stop.set()
            await until(lambda: len(second.partitions) == scene.settings.partitions)
        # What is folded in taking over is the claim, and nothing from before the standby had followed to.
        assert {number: folded[number][0] for number in theirs} == {
            number: offset + 1 for number, offset in before.items()
        }
        status = await client.status(TENANTS[0], timeout_ms=int(DEADLINE_S * 1000))
        assert status.lifecycle == "absent"
    scene.audit()
