"""Waiting for work that may not even heed its cancellation in time: after the bound it is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

_LEFT_BEHIND: Final[set[asyncio.Task[None]]] = set()
"""What goes on by itself: the event loop alone would not keep it."""


async def within(timeout_ms: int, work: Coroutine[Any, Any, None]) -> None:
    """Wait for the work, for so many milliseconds; then it is cancelled, and what it still does is not waited for.

    A driver that is cancelled first talks to its server, which may be what hangs.

    Raises:
        TimeoutError: it took longer.
        BaseException: what the work raised.
    """
    task = asyncio.get_running_loop().create_task(work)
    _LEFT_BEHIND.add(task)
    task.add_done_callback(_ended)
    try:
        done, _ = await asyncio.wait({task}, timeout=timeout_ms / 1000)
    finally:
        task.cancel()
    if not done:
        raise TimeoutError
    task.result()


def _ended(task: asyncio.Task[None]) -> None:
    _LEFT_BEHIND.discard(task)
    if not task.cancelled():
        task.exception()
