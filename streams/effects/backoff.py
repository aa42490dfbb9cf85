"""Waiting between attempts: random-exponential, so that a thousand tenants do not come back at once."""

from __future__ import annotations

import random
from collections.abc import Iterator


def delays_ms(shortest_ms: int, longest_ms: int, chance: random.Random) -> Iterator[int]:
    """Delays in milliseconds, for ever: each at random between the one before and three times that.

    The first lie between ``shortest_ms`` and three times that; none is above ``longest_ms``.
    """
    lower = max(shortest_ms, longest_ms // 3)
    previous = shortest_ms
    while True:
        previous = chance.randint(min(previous, lower), min(3 * previous, longest_ms))
        yield previous
