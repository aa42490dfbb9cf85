"""The event loop of a simulated process keeps asyncio's rules, and can be frozen and killed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.simulation.loop import ProcessLoop, Waiting
from tests.simulation.scheduler import Scheduler


class Bench:
    """A loop, and what happened in it."""

    def __init__(self) -> None:
        self.scheduler = Scheduler(1, 0.0)
        self.unhandled: list[dict[str, Any]] = []
        self.loop = ProcessLoop(self.scheduler, "p", self.unhandled.append)
        self.seen: list[object] = []

    def run(self, steps: int = 200) -> None:
        self.scheduler.at(10_000.0, int)
        while self.scheduler.steps < steps and self.scheduler.now < 9_000.0:
            self.scheduler.step()


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_callbacks_run_in_their_order_and_timers_when_they_are_due(bench: Bench) -> None:
    async def main() -> None:
        bench.loop.call_later(2.0, bench.seen.append, "second")
        bench.loop.call_later(1.0, bench.seen.append, "first")
        bench.loop.call_soon(bench.seen.append, "at once")
        await asyncio.sleep(3.0)
        bench.seen.append(bench.loop.time())

    bench.loop.create_task(main())
    bench.run()
    assert bench.seen == ["at once", "first", "second", 3.0]
    bench.loop.close()


def test_a_timer_that_was_cancelled_does_not_run(bench: Bench) -> None:
    bench.loop.call_later(1.0, bench.seen.append, "never").cancel()
    bench.run(20)
    assert bench.seen == []
    bench.loop.close()


def test_timeouts_and_queues_work_in_virtual_time(bench: Bench) -> None:
    async def main() -> None:
        queue: asyncio.Queue[str] = asyncio.Queue()
        try:
            async with asyncio.timeout(5.0):
                await queue.get()
        except TimeoutError:
            bench.seen.append(bench.loop.time())
        bench.loop.call_later(1.0, queue.put_nowait, "there")
        bench.seen.append(await queue.get())

    bench.loop.create_task(main())
    bench.run()
    assert bench.seen == [5.0, "there"]
    bench.loop.close()


def test_a_frozen_loop_goes_on_where_it_was(bench: Bench) -> None:
    async def main() -> None:
        for count in range(3):
            bench.seen.append(count)
            await asyncio.sleep(1.0)

    bench.loop.create_task(main())
    bench.scheduler.at(0.5, bench.loop.freeze)
    bench.scheduler.at(5.0, bench.loop.thaw)
    bench.scheduler.at(4.9, lambda: bench.seen.append("frozen"))
    bench.run()
    assert bench.seen == [0, "frozen", 1, 2]
    bench.loop.close()


def test_a_killed_loop_runs_nothing_and_says_nothing(bench: Bench) -> None:
    async def main() -> None:
        try:
            await asyncio.sleep(1.0)
        finally:
            bench.seen.append("cleaned up")

    bench.loop.create_task(main())
    bench.scheduler.at(0.5, bench.loop.kill)
    bench.run()
    assert bench.seen == []
    bench.loop.close()
    assert bench.seen == ["cleaned up"]
    assert bench.unhandled == []


def test_what_runs_in_a_thread_may_wait_and_is_tried_again(bench: Bench) -> None:
    tried = iter([Waiting, Waiting])

    def work() -> str:
        problem = next(tried, None)
        if problem is not None:
            raise problem
        return "done"

    async def main() -> None:
        bench.seen.append(await asyncio.to_thread(work))

    bench.loop.create_task(main())
    bench.run()
    assert bench.seen == ["done"]
    bench.loop.close()


def test_an_exception_that_nobody_handles_is_told(bench: Bench) -> None:
    bench.loop.call_soon(int, "no number")
    bench.run(20)
    assert [type(context["exception"]) for context in bench.unhandled] == [ValueError]
    bench.loop.close()
