"""Standbys: a worker that follows a partition knows all that its owner wrote, and owns it without reading it again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from statemachine.commands import PauseTenant, ResumeTenant
from streams.client import ConnectClient
from streams.service.worker import Worker
from streams.settings import Settings
from tests.integration.snapshots.place import everything, folding
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
