"""Windows whose end their owner did not live to see: the next one ends them when they would have ended."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.integration.life.killed import UNUSED, Killed
from tests.integration.life.stage import ended
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.asyncio(loop_scope="session")]


async def test_a_limit_ends_when_it_would_have_ended(killed: Killed) -> None:
    (cleared,) = await killed.limited.next("limit.cleared")
    assert cleared.time >= killed.limit.data.retry_at
    assert cleared.claim > killed.limit.claim


async def test_a_recovery_window_ends_when_it_would_have_ended(killed: Killed) -> None:
    stopping, stopped = await killed.recovering.next("connect.stopping", "connect.stopped")
    assert ended(stopping)[0] == "database_recovery_window_exceeded"
    # The next owner never got in, so it cannot know that nothing is left of the one before.
    assert "sessions of an owner before could not be looked for" in stopped.data.message
    assert stopping.time >= killed.lost.data.recovery_until
    assert stopping.claim > killed.lost.claim


async def test_an_idle_tenant_is_stopped_when_it_would_have_been_stopped(killed: Killed) -> None:
    stopping, _ = await killed.idle.next("connect.stopping", "connect.stopped")
    assert ended(stopping)[0] == "idle"
    assert stopping.time >= killed.due


async def test_the_time_without_users_goes_on_though_nobody_counted(killed: Killed) -> None:
    idle, stopping = await killed.left.next("occupancy.idle", "connect.stopping")
    due = idle.data.shutdown_at
    # The report is the later one by less than it took to write it.
    assert killed.left_at + UNUSED <= due + timedelta(milliseconds=1) < idle.time + UNUSED
    assert stopping.time >= due


async def test_the_days_of_a_tenant_that_the_owner_before_stopped_are_looked_after(killed: Killed) -> None:
    async def is_dropped() -> bool:
        (row,) = await killed.stopped.in_database("select to_regclass('realtime.messages_2001_01_01') as expired")
        return row["expired"] is None

    await until(is_dropped)
