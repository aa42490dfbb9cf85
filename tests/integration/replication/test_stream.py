from __future__ import annotations

from typing import Any

import pytest

from statemachine.state import ReplicationMode
from tests.integration.replication.scene import CLAIM, TENANT, Scene, insert, slots

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]


async def test_a_fresh_stream_broadcasts_what_is_committed(scene: Scene, superuser: Any) -> None:
    async with scene.streaming() as stream:
        ids = await insert(superuser, 3)
        await scene.topic.has(ids)
    started = stream.started
    assert (started.mode, started.resumed_from, started.backfilled) == (ReplicationMode.DURABLE, None, 0)
    assert started.gap is None
    first = scene.topic.broadcasts[0]
    assert (first.tenant, first.claim, first.ordinal, first.topic) == (TENANT, CLAIM, 0, "topic")
    assert [broadcast.id for broadcast in scene.topic.broadcasts] == ids
    assert await slots(superuser) == 0


async def test_rows_written_while_nobody_streams_are_delivered_first(scene: Scene, superuser: Any) -> None:
    async with scene.streaming() as stream:
        before = await insert(superuser, 2)
        await scene.topic.has(before)
    point = stream.resume_point
    meanwhile = await insert(superuser, 5)
    async with scene.streaming() as stream:
        after = await insert(superuser, 2)
        await scene.topic.has([*meanwhile, *after])
    assert stream.started.resumed_from == point
    assert (stream.started.backfilled, stream.started.gap) == (5, None)
    assert [broadcast.id for broadcast in scene.topic.broadcasts] == [*before, *meanwhile, *after]
