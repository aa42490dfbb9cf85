"""A connection to a broker that brings no answers any more and is not closed does not keep a worker from its work."""

from __future__ import annotations

import pytest

from statemachine.commands import PauseTenant
from streams.client import ConnectClient
from tests.integration.worker.scene import Scene
from tests.support.waiting import DEADLINE_S

pytestmark = pytest.mark.kafka

CANARY_MS = 600_000
"""So long that no canary ends the worker in place of what is tried here."""


async def test_a_worker_whose_connections_fall_silent_connects_anew_and_answers(scene: Scene) -> None:
    async with scene.working(canary_timeout_ms=CANARY_MS) as worker, ConnectClient(scene.settings) as client:
        thread = worker._engine._consumer._thread
        connections = list(thread._ensure_consumer()._client._conns.values())
        # Otherwise nothing is shown: heartbeats have a connection of their own.
        assert len(connections) > 1
        for connection in connections:
            thread.thread_loop.call_soon_threadsafe(connection._writer.transport.pause_reading)
        reply = await client.send("t1", PauseTenant(), timeout_s=DEADLINE_S)
    assert reply.outcome == "ok"
