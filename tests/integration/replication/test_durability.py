"""Whatever is committed is broadcast, wherever a stream ends and begins."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.replication.scene import Scene, insert, slots
from tests.integration.replication.writing import writing

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

ROUNDS = 12
WRITERS = 6
SEED = 20_300_101


@pytest.mark.parametrize("planned", [True, False])
async def test_rows_of_every_transaction_arrive_over_many_stops_and_starts(
    scene: Scene, superuser: Any, planned: bool
) -> None:
    async with scene.streaming(claim=0):
        pass
    async with writing(scene.database, WRITERS, SEED) as writers:
        for claim in range(1, ROUNDS + 1):
            async with scene.streaming(claim=claim, planned=planned) as stream:
                await writers.more(40)
            assert stream.started.gap is None
            assert await slots(superuser) == 0
            await writers.more(40)
    async with scene.streaming(claim=ROUNDS + 1) as stream:
        await scene.topic.has(writers.committed)
        last = await insert(superuser)
        await scene.topic.has(last)
    found = {broadcast.id for broadcast in scene.topic.broadcasts}
    assert not found & writers.undone
    assert found == writers.committed | set(last)
    assert stream.started.gap is None
