from __future__ import annotations

import asyncio
import random
import sys
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from streams.effects.backoff import STEADY_MS, Losses, delays_ms
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


def test_whatever_is_lost_again_and_again_is_sought_with_longer_and_longer_pauses() -> None:
    losses = Losses(10, 30_000, random.Random(7))
    pauses = [losses.pause_ms(held_ms=5) for _ in range(60)]
    assert pauses[0] == 0
    assert 10 <= pauses[1] <= 30
    assert min(pauses[20:]) >= 3_000
    assert [losses.pause_ms(held_ms) for held_ms in (STEADY_MS, STEADY_MS)] == [0, 0]
    assert 10 <= losses.pause_ms(STEADY_MS - 1) <= 30


async def test_no_more_than_the_bounds_work_at_once() -> None:
    bounds = Bounds(5, 2)
    running: dict[str, int] = {"a": 0, "b": 0, "c": 0}
    most: dict[str, int] = dict.fromkeys(running, 0)
    most_at_all = 0

    async def work(server: str) -> None:
        nonlocal most_at_all
        async with bounds.place(server, "t1"):
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
        async with bounds.place("busy", "t1"):
            await leave.wait()

    staying = [asyncio.create_task(stay()) for _ in range(5)]
    await asyncio.sleep(0)
    async with asyncio.timeout(5), bounds.place("free", "t1"):
        leave.set()
    await asyncio.gather(*staying)


async def test_a_place_is_given_back_when_the_work_fails_or_is_given_up() -> None:
    bounds = Bounds(1, 1)

    async def fail() -> None:
        async with bounds.place("a", "t1"):
            raise OSError

    async def stay() -> None:
        async with bounds.place("a", "t1"):
            await asyncio.Event().wait()

    assert isinstance((await asyncio.gather(fail(), return_exceptions=True))[0], OSError)
    staying = asyncio.create_task(stay())
    await asyncio.sleep(0)
    staying.cancel()
    await asyncio.gather(staying, return_exceptions=True)
    async with asyncio.timeout(5), bounds.place("a", "t1"):
        pass


async def _order(bounds: Bounds, waiting: dict[str, bool], promoted: str | None = None) -> list[str]:
    """Who gets the only place, in which order, once it is free; the values say who goes first."""
    leave = asyncio.Event()
    order: list[str] = []

    async def stay() -> None:
        async with bounds.place("a", "busy"):
            await leave.wait()

    async def work(tenant: str, *, first: bool) -> None:
        async with bounds.place("a", tenant, first=first):
            order.append(tenant)

    tasks = [asyncio.create_task(stay())]
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(work(tenant, first=first)) for tenant, first in waiting.items()]
    await asyncio.sleep(0)
    if promoted is not None:
        bounds.promote(promoted)
    leave.set()
    async with asyncio.timeout(5):
        await asyncio.gather(*tasks)
    return order


async def test_a_tenant_with_users_goes_before_those_without_and_else_in_order() -> None:
    assert await _order(Bounds(1, 1), {"t1": False, "t2": False, "t3": True}) == ["t3", "t1", "t2"]


async def test_a_tenant_whose_users_are_learned_of_while_it_waits_goes_first_from_then_on() -> None:
    assert await _order(Bounds(1, 1), {"t1": False, "t2": False, "t3": False}, "t2") == ["t2", "t1", "t3"]


async def _holding(bounds: Bounds, server: str, tenant: str, leave: asyncio.Event) -> None:
    async with bounds.place(server, tenant):
        await leave.wait()


async def _steps_of_promoting(servers: int) -> int:
    """Calls that are made to let a tenant go first that waits, while so many servers are worked against."""
    bounds, leave = Bounds(1000, 1), asyncio.Event()
    tasks = [asyncio.create_task(_holding(bounds, f"s{number}", "t1", leave)) for number in range(servers)]
    tasks.append(asyncio.create_task(_holding(bounds, "s0", "t2", leave)))
    await asyncio.sleep(0)
    steps: list[str] = []
    sys.setprofile(lambda _frame, event, _argument: steps.append(event))
    bounds.promote("t2")
    sys.setprofile(None)
    leave.set()
    await asyncio.gather(*tasks)
    return len(steps)


async def test_to_go_first_takes_no_more_work_where_there_are_many_servers() -> None:
    assert await _steps_of_promoting(500) == await _steps_of_promoting(1)


async def test_a_tenant_that_waits_at_two_servers_goes_first_at_both() -> None:
    bounds, leave = Bounds(4, 1), asyncio.Event()
    order: list[str] = []

    async def work(server: str, tenant: str) -> None:
        async with bounds.place(server, tenant):
            order.append(f"{tenant} at {server}")

    tasks = [asyncio.create_task(_holding(bounds, server, "busy", leave)) for server in "ab"]
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(work(server, tenant)) for server in "ab" for tenant in ("t1", "t2")]
    await asyncio.sleep(0)
    bounds.promote("t2")
    leave.set()
    async with asyncio.timeout(5):
        await asyncio.gather(*tasks)
    assert [who for who in order if who.endswith("a")] == ["t2 at a", "t1 at a"]
    assert [who for who in order if who.endswith("b")] == ["t2 at b", "t1 at b"]


async def test_nothing_is_kept_of_a_server_that_nobody_works_against_or_waits_for() -> None:
    bounds, leave = Bounds(4, 1), asyncio.Event()
    tasks = [asyncio.create_task(_holding(bounds, server, "t1", leave)) for server in "aab"]
    await asyncio.sleep(0)
    assert bounds.servers == 2
    leave.set()
    # The second at "a" is given up in the moment in which it is its turn.
    tasks[0].add_done_callback(lambda _: tasks[1].cancel())
    await asyncio.gather(*tasks, return_exceptions=True)
    assert bounds.servers == 0
