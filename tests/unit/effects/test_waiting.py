from __future__ import annotations

import asyncio
import random
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from streams.effects.backoff import delays_ms
from streams.effects.bounds import Bounds


@given(st.integers(1, 10_000), st.integers(0, 100_000), st.integers())
def test_delays_stay_within_their_bounds(shortest: int, more: int, seed: int) -> None:
    longest = shortest + more
    delays = list(islice(delays_ms(shortest, longest, random.Random(seed)), 50))
    assert all(shortest <= delay <= longest for delay in delays)


def test_delays_grow_and_never_become_alike() -> None:
    delays = list(islice(delays_ms(10, 30_000, random.Random(7)), 60))
    assert max(delays[:2]) <= 90
    assert min(delays[20:]) >= 3_000
    assert len(set(delays[20:])) > 30


async def test_no_more_than_the_bounds_work_at_once() -> None:
    bounds = Bounds(5, 2)
    running: dict[str, int] = {"a": 0, "b": 0, "c": 0}
    most: dict[str, int] = dict.fromkeys(running, 0)
    most_at_all = 0

    async def work(server: str) -> None:
        nonlocal most_at_all
        async with bounds.place(server):
            running[server] += 1
            most[server] = max(most[server], running[server])
            most_at_all = max(most_at_all, sum(running.values()))
            await asyncio.sleep(0)
            running[server] -= 1

    await asyncio.gather(*(work(server) for server in "abc" * 10))
    assert most == {"a": 2, "b": 2, "c": 2}
    assert most_at_all == 5


async def test_a_busy_server_does_not_hold_back_the_others() -> None:
    bounds = Bounds(2, 1)
    leave = asyncio.Event()

    async def stay() -> None:
        async with bounds.place("busy"):
            await leave.wait()

    staying = [asyncio.create_task(stay()) for _ in range(5)]
    await asyncio.sleep(0)
    async with asyncio.timeout(5), bounds.place("free"):
        leave.set()
    await asyncio.gather(*staying)


async def test_a_place_is_given_back_when_the_work_fails_or_is_given_up() -> None:
    bounds = Bounds(1, 1)

    async def fail() -> None:
        async with bounds.place("a"):
            raise OSError

    async def stay() -> None:
        async with bounds.place("a"):
            await asyncio.Event().wait()

    assert isinstance((await asyncio.gather(fail(), return_exceptions=True))[0], OSError)
    staying = asyncio.create_task(stay())
    await asyncio.sleep(0)
    staying.cancel()
    await asyncio.gather(staying, return_exceptions=True)
    async with asyncio.timeout(5), bounds.place("a"):
        pass
