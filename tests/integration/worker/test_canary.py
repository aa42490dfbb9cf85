"""A consumer that silently stopped cannot hold its tenants."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from streams.errors import ConsumerSilent
from streams.service.worker import Worker
from streams.worker.run import CANARY
from tests.integration.worker.scene import Scene
from tests.support.waiting import DEADLINE_S, until

pytestmark = pytest.mark.kafka

SHORT = {"canary_interval_ms": 200, "canary_timeout_ms": 2_000}


async def test_a_worker_whose_consumer_silently_stopped_ends(scene: Scene) -> None:
    worker = Worker(scene.settings.model_copy(update=SHORT))
    running = asyncio.create_task(worker.run(asyncio.Event()))
    await until(lambda: len(worker.partitions) == scene.settings.partitions)
    thread = worker._engine._consumer._thread
    # Its heartbeats go on, so the group takes it for well.
    thread.thread_loop.call_soon_threadsafe(thread._ensure_consumer()._fetcher._fetch_task.cancel)
    with pytest.raises(ConsumerSilent, match="nothing was read for 2 s"):
        await asyncio.wait_for(running, DEADLINE_S)


async def test_canaries_are_seen_by_nobody_but_who_sends_them(scene: Scene) -> None:
    async with scene.working(**SHORT):
        for topic in (scene.topics.region_commands, scene.topics.commands):
            await until(partial(_has_many, scene, topic))
    assert {(record.key, record.value) for record in scene.records(scene.topics.region_commands)} == {(None, CANARY)}
    assert scene.records(scene.topics.dead_letters) == []
    assert scene.records(scene.topics.replies) == []
    assert {type(entry.event).__name__ for entry in scene.entries()} == {"Claimed"}


def _has_many(scene: Scene, topic: str) -> bool:
    return len(scene.records(topic)) > 4 * scene.settings.partitions
