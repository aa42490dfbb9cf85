from __future__ import annotations

import asyncio

import pytest

from streams.replication.leaving import within


async def test_work_that_ends_in_time_has_ended() -> None:
    done = []

    async def work() -> None:
        await asyncio.sleep(0)
        done.append(True)

    await within(10_000, work())
    assert done == [True]


async def test_what_the_work_raises_is_raised() -> None:
    async def work() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await within(10_000, work())


async def test_work_that_does_not_heed_its_cancellation_is_left_behind_and_goes_on() -> None:
    heeded = asyncio.Event()
    release = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await release.wait()
            heeded.set()

    with pytest.raises(TimeoutError):
        await within(1, work())
    assert not heeded.is_set()
    release.set()
    await heeded.wait()


async def test_who_is_cancelled_cancels_the_work() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    waiting = asyncio.create_task(within(10_000, work()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await ended.wait()
