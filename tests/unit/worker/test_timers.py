from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from statemachine.commands import Deadline
from statemachine.machines import DatabaseHealth, Lifecycle
from statemachine.state import Pause, TenantState
from streams.worker.timers import Timers

DEADLINE_S = 5.0
LONG = timedelta(days=400)

Reached = asyncio.Queue[tuple[str, Deadline]]


def _now() -> datetime:
    return datetime.now(UTC)


def _timers() -> tuple[Timers, Reached]:
    reached: Reached = asyncio.Queue()
    return Timers(_now, lambda tenant, deadline: reached.put_nowait((tenant, deadline))), reached


def _paused(until: datetime | None, tenant: str = "t1") -> TenantState:
    return TenantState(tenant, pause=Pause("", "", until))


async def _next(reached: Reached) -> tuple[str, Deadline]:
    async with asyncio.timeout(DEADLINE_S):
        return await reached.get()


async def test_a_deadline_is_told_when_it_is_due() -> None:
    timers, reached = _timers()
    due = _now() + timedelta(milliseconds=20)
    timers.arm(_paused(due))
    assert await _next(reached) == ("t1", Deadline.PAUSE)
    assert _now() >= due


async def test_a_deadline_that_has_passed_is_told_at_once() -> None:
    timers, reached = _timers()
    timers.arm(_paused(_now() - LONG))
    assert await _next(reached) == ("t1", Deadline.PAUSE)
    assert reached.empty()


async def test_a_deadline_that_the_state_has_no_more_is_not_told() -> None:
    timers, reached = _timers()
    timers.arm(_paused(_now() + timedelta(milliseconds=20)))
    timers.arm(TenantState("t1"))
    timers.arm(_paused(_now() + timedelta(milliseconds=40), "t2"))
    assert await _next(reached) == ("t2", Deadline.PAUSE)
    assert timers._armed == {}


async def test_a_deadline_that_moved_is_told_when_it_is_due_now() -> None:
    timers, reached = _timers()
    timers.arm(_paused(_now() + LONG))
    timers.arm(_paused(_now() + timedelta(milliseconds=20)))
    assert await _next(reached) == ("t1", Deadline.PAUSE)


async def test_the_same_state_again_arms_nothing_twice() -> None:
    timers, reached = _timers()
    state = _paused(_now() + timedelta(milliseconds=20))
    for _ in range(3):
        timers.arm(state)
    assert await _next(reached) == ("t1", Deadline.PAUSE)
    assert reached.empty()


async def test_every_deadline_of_a_tenant_is_told() -> None:
    timers, reached = _timers()
    due = _now() + timedelta(milliseconds=20)
    state = _paused(due)._replace(
        lifecycle=Lifecycle.READY,
        database=DatabaseHealth.RECOVERING,
        recovery_until=due + timedelta(milliseconds=1),
        next_attempt_at=due + timedelta(milliseconds=2),
        replication_until=due + timedelta(milliseconds=3),
        shutdown_at=due + timedelta(milliseconds=4),
        retry_at=due + timedelta(milliseconds=5),
    )
    timers.arm(state)
    told = {await _next(reached) for _ in Deadline}
    assert told == {("t1", deadline) for deadline in Deadline}


async def test_a_clock_that_was_set_back_is_waited_for() -> None:
    reads = iter([_now()])
    late = timedelta(milliseconds=50)
    reached: Reached = asyncio.Queue()
    timers = Timers(lambda: next(reads, _now() - late), lambda tenant, deadline: reached.put_nowait((tenant, deadline)))
    due = _now()
    timers.arm(_paused(due))
    assert await _next(reached) == ("t1", Deadline.PAUSE)
    assert _now() - late >= due


async def test_after_letting_go_nothing_is_told() -> None:
    timers, reached = _timers()
    timers.arm(_paused(_now() - LONG))
    timers.clear()
    passed = asyncio.Event()
    asyncio.get_running_loop().call_later(0.02, passed.set)
    await passed.wait()
    assert reached.empty()
