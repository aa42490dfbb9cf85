"""Saying now and then that reports were left out."""

from __future__ import annotations

import time
from typing import Final

import structlog

from streams.users.counts import Tally

WARNING_INTERVAL_S: Final = 10.0
"""How often it is said at the most."""

log = structlog.get_logger(__name__)


class LeftOut:
    """Watches how many reports were left out.

    Attributes:
        last: the last unreadable record, and what is wrong with it.
    """

    def __init__(self) -> None:
        self.last: str | None = None
        self._said = (0, 0, 0)
        self._silent_until = 0.0

    def look(self, tally: Tally, topic: str) -> None:
        """Log a warning where there is something new to say and the last one is long ago."""
        found = (tally.unreadable, tally.refused, tally.ended)
        if found == self._said or time.monotonic() < self._silent_until:
            return
        unreadable, refused, ended = (new - old for new, old in zip(found, self._said, strict=True))
        log.warning("users.left_out", topic=topic, unreadable=unreadable, refused=refused, ended=ended, last=self.last)
        self._said = found
        self._silent_until = time.monotonic() + WARNING_INTERVAL_S
