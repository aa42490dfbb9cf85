"""Waiting for a condition, never for a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

DEADLINE_S: Final = 40.0
LOOK_INTERVAL_S: Final = 0.02


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Return when the condition holds; fail when it does not in time."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(LOOK_INTERVAL_S)
