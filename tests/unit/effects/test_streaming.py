from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from typing import Any

from statemachine.commands import Report, StreamFailed
from statemachine.machines import DatabaseHealth, Lifecycle, Replication
from statemachine.state import TenantState
from streams.effects.means import Means
from streams.effects.streaming import Holding, StreamWork

STARTING = TenantState("t1", Lifecycle.READY, DatabaseHealth.UP, Replication.STARTING, sequence=4)


class Asked:
    """The catalog, which fails in a way that nobody thought of.

    Attributes:
        times: how often it was asked.
        reports: what was reported.
        failures: what ended the worker.
    """

    def __init__(self) -> None:
        self.times = 0
        self.reports: asyncio.Queue[Report] = asyncio.Queue()
        self.failures: list[Exception] = []

    async def load(self, _tenant: str) -> Any:
        self.times += 1
        raise ZeroDivisionError

    def work(self) -> StreamWork:
        nothing: Any = None
        means = Means._make([nothing] * len(Means._fields))._replace(
            load=self.load, chance=random.Random(7), now=lambda: datetime.now(UTC), failed=self.failures.append
        )
        holding = Holding(asyncio.Event(), lambda: None)
        return StreamWork("t1", 0, means, lambda report, _effect: self.reports.put_nowait(report), holding)


async def test_an_attempt_that_ends_with_an_unexpected_error_is_told_and_made_again_and_nothing_else_ends() -> None:
    asked = Asked()
    work = asked.work()
    for attempt in (1, 2):
        work.want(STARTING._replace(sequence=3 + attempt))
        async with asyncio.timeout(5):
            report = await asked.reports.get()
        assert isinstance(report, StreamFailed)
        assert (report.code, asked.times) == ("StartReplicationFailed", attempt)
    await work.close()
    assert asked.failures == []


async def test_while_the_database_is_away_no_attempt_is_made() -> None:
    asked = Asked()
    work = asked.work()
    work.want(STARTING._replace(database=DatabaseHealth.RECOVERING))
    for _ in range(10):
        await asyncio.sleep(0)
    assert asked.times == 0
    work.want(STARTING._replace(sequence=5))
    async with asyncio.timeout(5):
        await asked.reports.get()
    assert asked.times == 1
    await work.close()
