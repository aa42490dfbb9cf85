"""The limit on a tenant's rows per second: pure, the time is given."""

from __future__ import annotations

from datetime import datetime
from typing import Final

RATE_WINDOW_S: Final = 10.0
"""Seconds over which the rate is averaged: so many seconds' worth of rows may come at once."""


class RateLimit:
    """Admits so many rows a second, averaged over `RATE_WINDOW_S`.

    It is a bucket that holds the rows of one window, begins full and is filled again at the limit's rate. In any
    stretch of t seconds at most t + `RATE_WINDOW_S` times the limit are admitted. What is refused costs nothing.

    Time is that of the clock by which rows were written, not that of their arrival: what waited in the WAL while nobody
    took it comes at once, and is no burst. A clock that is set back fills nothing until it goes on.

    Args:
        rows_per_second: the limit.
    """

    __slots__ = ("_at", "_limit", "_room")

    def __init__(self, rows_per_second: int) -> None:
        self._limit = rows_per_second
        self._room = rows_per_second * RATE_WINDOW_S
        self._at: datetime | None = None

    def change(self, rows_per_second: int) -> None:
        """Admit so many rows from now on; a bucket that held more is emptied to the new size."""
        self._limit = rows_per_second
        self._room = min(self._room, rows_per_second * RATE_WINDOW_S)

    def admits(self, at: datetime) -> bool:
        """Whether a row that was written at ``at`` is within the limit; if so it is counted."""
        if at != self._at:
            self._fill(at)
        if self._room < 1:
            return False
        self._room -= 1
        return True

    def _fill(self, at: datetime) -> None:
        if self._at is not None and at > self._at:
            passed = (at - self._at).total_seconds()
            self._room = min(self._room + passed * self._limit, self._limit * RATE_WINDOW_S)
        self._at = at
