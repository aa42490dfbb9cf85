"""What a worker does again and again, whatever comes in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any


class Rounds:
    """Tasks that run for ever; one that fails is told of, and stops the worker.

    Args:
        failed: told of a failure that the worker cannot survive.
    """

    def __init__(self, failed: Callable[[Exception], None]) -> None:
        self._failed = failed
        self._tasks: set[asyncio.Task[None]] = set()

    def every(self, interval_ms: int, act: Callable[[], None]) -> None:
        """Call ``act`` every so many milliseconds."""
        self.forever(_every(interval_ms / 1000, act))

    def forever(self, work: Coroutine[Any, Any, None]) -> None:
        """Let ``work`` go on until the rounds are closed."""
        self._tasks.add(asyncio.get_running_loop().create_task(self._guard(work)))

    async def close(self) -> None:
        """End all of them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _guard(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001  a round that ended unnoticed would never come again
            self._failed(error)


async def _every(interval_s: float, act: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(interval_s)
        act()
