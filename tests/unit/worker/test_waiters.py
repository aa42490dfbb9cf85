from __future__ import annotations

import asyncio

from statemachine.answers import Answer
from statemachine.commands import Connect
from statemachine.machines import Lifecycle
from statemachine.rejections import Rejection
from statemachine.state import Stop, StopReason, TenantState
from streams.wire.command import ReplyTo, Request
from streams.worker.waiters import Waiter, Waiters

HERE = ReplyTo("connect.replies", 0)
CHECKING = TenantState("t1", Lifecycle.CHECKING)
READY = TenantState("t1", Lifecycle.READY)
STOPPED = TenantState("t1", stop=Stop(StopReason.SUSPENDED, None, "suspended"))
LONG_MS = 60_000


def _asked(name: str, tenant: str = "t1", timeout_ms: int = LONG_MS) -> Request:
    return Request(name, tenant, Connect(timeout_ms=timeout_ms), HERE)


def _nobody(waiter: Waiter) -> None:
    raise AssertionError(waiter.request.id)


async def test_a_caller_is_answered_once_when_its_tenant_is_ready() -> None:
    waiters = Waiters(10, _nobody)
    waiter = waiters.add(_asked("a"))
    assert list(waiters.answered(CHECKING)) == []
    assert [(found.waiter, found.answer) for found in waiters.answered(READY)] == [(waiter, Answer.OK)]
    assert list(waiters.answered(READY)) == []


async def test_a_caller_is_refused_when_its_tenant_stops() -> None:
    waiters = Waiters(10, _nobody)
    waiters.add(_asked("a"))
    (found,) = waiters.answered(STOPPED)
    assert isinstance(found.answer, Rejection)


async def test_callers_of_another_tenant_go_on_waiting() -> None:
    waiters = Waiters(10, _nobody)
    waiters.add(_asked("a"))
    waiters.add(_asked("b", "t2"))
    assert [found.waiter.request.id for found in waiters.answered(READY)] == ["a"]
    assert [found.waiter.request.id for found in waiters.answered(READY._replace(tenant="t2"))] == ["b"]


async def test_who_asks_again_under_the_same_id_is_one_caller() -> None:
    waiters = Waiters(1, _nobody)
    first = waiters.add(_asked("a"))
    assert waiters.add(_asked("a")) is first
    assert len(list(waiters.answered(READY))) == 1


async def test_there_is_room_for_so_many_callers_of_a_tenant() -> None:
    waiters = Waiters(2, _nobody)
    assert waiters.add(_asked("a")) is not None
    assert waiters.add(_asked("b")) is not None
    assert waiters.add(_asked("c")) is None
    assert waiters.add(_asked("c", "t2")) is not None
    assert waiters.add(_asked("b")) is not None


async def test_a_caller_whose_time_is_up_is_told_so_once_and_kept_no_more() -> None:
    expired: asyncio.Queue[Waiter] = asyncio.Queue()
    waiters = Waiters(1, expired.put_nowait)
    waiter = waiters.add(_asked("a", timeout_ms=0))
    async with asyncio.timeout(5):
        assert await expired.get() is waiter
    assert list(waiters.answered(READY)) == []
    assert waiters.add(_asked("b")) is not None
    assert expired.empty()


async def test_who_was_answered_or_forgotten_does_not_expire() -> None:
    expired: list[Waiter] = []
    waiters = Waiters(2, expired.append)
    waiters.add(_asked("a", timeout_ms=0))
    assert len(list(waiters.answered(READY))) == 1
    waiters.add(_asked("b", timeout_ms=0))
    waiters.clear()
    passed = asyncio.Event()
    asyncio.get_running_loop().call_later(0.02, passed.set)
    await passed.wait()
    assert expired == []
    assert list(waiters.answered(READY)) == []
