"""Waiting between attempts: random-exponential, so that a thousand tenants do not come back at once."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial

STEADY_MS = 10_000
"""What was held for so long before it was lost is sought again at once."""


def delays_ms(shortest_ms: int, longest_ms: int, chance: random.Random) -> Iterator[int]:
    """Delays in milliseconds, for ever: each at random between the one before and three times that.

    The first lie between ``shortest_ms`` and three times that; none is above ``longest_ms``.
    """
    lower = max(shortest_ms, longest_ms // 3)
    previous = shortest_ms
    while True:
        previous = chance.randint(min(previous, lower), min(3 * previous, longest_ms))
        yield previous


class Losses:
    """Waiting after losses of something that can be had again each time, and does not last.

    Args:
        shortest_ms: the shortest pause, in milliseconds.
        longest_ms: the longest.
        chance: makes the pauses of many differ.
    """

    def __init__(self, shortest_ms: int, longest_ms: int, chance: random.Random) -> None:
        self._begin = partial(delays_ms, shortest_ms, longest_ms, chance)
        self._delays: Iterator[int] | None = None

    def pause_ms(self, held_ms: float) -> int:
        """How long to wait, in milliseconds, now that what was held for ``held_ms`` is lost.

        After the first loss in a row nothing, then longer and longer; one after ``STEADY_MS`` begins a new row.
        """
        if self._delays is None or held_ms >= STEADY_MS:
            self._delays = self._begin()
            return 0
        return next(self._delays)
