"""Waiting for something to come true, with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

DEADLINE_SECONDS = 20.0
POLL_SECONDS = 0.02


async def eventually(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Return once the condition holds.

    Raises:
        AssertionError: it did not within `DEADLINE_SECONDS`.
    """
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not await condition():  # noqa: ASYNC110  # the condition is a row of a database: it cannot notify
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError as error:
        raise AssertionError(f"not within {DEADLINE_SECONDS} s: {what}") from error
