"""A blocking reader as an asynchronous iteration, in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Given_co = TypeVar("Given_co", covariant=True)


class Follower(Protocol[Given_co]):
    """Something that gives what is new, again and again."""

    def poll(self) -> Sequence[Given_co]:
        """The next items, in order; may be empty. Waits for a bounded time."""

    def close(self) -> None:
        """Give the connection up."""


async def followed(follow: Callable[[], Follower[Item]], closing: asyncio.Event) -> AsyncGenerator[Item, None]:
    """What a follower gives, until ``closing`` is set.

    Args:
        follow: makes the follower; it is closed in the end.
        closing: ends the iteration.
    """
    loop = asyncio.get_running_loop()
    # A thread of its own: those of the loop are few, and following may last for ever.
    thread = ThreadPoolExecutor(1, "following")
    try:
        follower = await loop.run_in_executor(thread, follow)
        try:
            while not closing.is_set():
                for item in await loop.run_in_executor(thread, follower.poll):
                    yield item
        finally:
            await asyncio.shield(loop.run_in_executor(thread, follower.close))
    finally:
        thread.shutdown(wait=False)
