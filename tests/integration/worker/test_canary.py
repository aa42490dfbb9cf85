"""A consumer that silently stopped cannot hold its tenants."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from statemachine.commands import PauseTenant, ResumeTenant
from streams.client import ConnectClient
from streams.errors import ConsumerSilent
from streams.service.worker import Worker
from streams.wire.reply import Reply
from streams.worker.run import CANARY
from tests.integration.worker.scene import Scene
from tests.support.waiting import DEADLINE_S, until

pytestmark = pytest.mark.kafka

SHORT: dict[str, Any] = {"canary_interval_ms": 200, "canary_timeout_ms": 2_000}
SLOW: dict[str, Any] = {**SHORT, "linger_ms": 200, "runs_in_flight_max": 1}
"""One run after another, each of which takes a fifth of a second or more."""

COMMANDS = 40
APART_S = 0.03
"""Commands this far apart come in runs of their own."""


async def test_a_worker_whose_consumer_silently_stopped_ends(scene: Scene) -> None:
    worker = Worker(scene.settings.model_copy(update=SHORT))
    running = asyncio.create_task(worker.run(asyncio.Event()))
    await until(lambda: len(worker.partitions) == scene.settings.partitions)
    thread = worker._engine._consumer._thread
    # Its heartbeats go on, so the group takes it for well.
    thread.thread_loop.call_soon_threadsafe(thread._ensure_consumer()._fetcher._fetch_task.cancel)
    with pytest.raises(ConsumerSilent, match=r"nothing was read for \d+ s"):
        await asyncio.wait_for(running, DEADLINE_S)


async def test_a_worker_whose_commands_queue_for_longer_than_a_canary_may_goes_on_and_answers_them_all(
    scene: Scene,
) -> None:
    async with scene.working(**SLOW), ConnectClient(scene.settings) as client:
        began = asyncio.get_running_loop().time()
        replies = await asyncio.gather(*(_asked(client, number) for number in range(COMMANDS)))
        # Otherwise nothing was shown.
        assert asyncio.get_running_loop().time() - began > 2 * SHORT["canary_timeout_ms"] / 1000
    assert {reply.outcome for reply in replies} == {"ok"}


async def test_a_consumer_that_stops_while_commands_queue_is_found_out(scene: Scene) -> None:
    worker = Worker(scene.settings.model_copy(update=SLOW))
    running = asyncio.create_task(worker.run(asyncio.Event()))
    await until(lambda: len(worker.partitions) == scene.settings.partitions)
    async with ConnectClient(scene.settings) as client:
        asking = [asyncio.create_task(_asked(client, number)) for number in range(COMMANDS)]
        await until(lambda: any(asked.done() for asked in asking))
        thread = worker._engine._consumer._thread
        thread.thread_loop.call_soon_threadsafe(thread._ensure_consumer()._fetcher._fetch_task.cancel)
        with pytest.raises(ConsumerSilent, match=r"nothing was read for \d+ s"):
            await asyncio.wait_for(running, DEADLINE_S)
        for asked in asking:
            asked.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


async def test_canaries_are_seen_by_nobody_but_who_sends_them(scene: Scene) -> None:
    async with scene.working(**SHORT):
        for topic in (scene.topics.region_commands, scene.topics.commands):
            await until(partial(_has_many, scene, topic))
    assert {(record.key, record.value) for record in scene.records(scene.topics.region_commands)} == {(None, CANARY)}
    assert scene.records(scene.topics.dead_letters) == []
    assert scene.records(scene.topics.replies) == []
    assert {type(entry.event).__name__ for entry in scene.entries()} == {"Claimed"}


async def _asked(client: ConnectClient, number: int) -> Reply:
    """One of many commands for one tenant, in its turn."""
    await asyncio.sleep(number * APART_S)
    command = ResumeTenant() if number % 2 else PauseTenant()
    return await client.send("t1", command, timeout_s=DEADLINE_S)


def _has_many(scene: Scene, topic: str) -> bool:
    return len(scene.records(topic)) > 4 * scene.settings.partitions
