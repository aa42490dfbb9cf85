"""Waiting for a condition, with a deadline and a clear end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from streams.errors import WaitExpired

LOOK_INTERVAL_S: Final = 0.1
"""Seconds between two looks at a condition."""

Found = TypeVar("Found")


async def until(
    what: str, look: Callable[[], Awaitable[Found | None]], deadline_s: float, where: Callable[[], str]
) -> Found:
    """Look until there is something to be found.

    Args:
        what: is waited for, as the end of "did not happen: ".
        look: gives None as long as it is not so.
        deadline_s: how long to look, in seconds.
        where: says where to read on when it does not happen.

    Raises:
        WaitExpired: nothing was found in time.
    """
    end = time.monotonic() + deadline_s
    while (found := await look()) is None:
        if time.monotonic() > end:
            raise WaitExpired(f"after {deadline_s:.0f} s it is still not so that {what}. {where()}")
        await asyncio.sleep(LOOK_INTERVAL_S)
    return found
