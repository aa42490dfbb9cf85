"""Rows that are not broadcast: counted one by one, logged now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import structlog

from streams.replication.order import Observer
from streams.replication.rows import OPERATIONAL_CODE

LOG_INTERVAL_S: Final = 10.0
"""Between two lines about the same code: a tenant that writes too much must not fill the log."""

log = structlog.get_logger(__name__)


class Refusals:
    """Tells the observer of each row that is refused, and the log of the first, and then of how many more there were.

    Args:
        tenant: whose rows.
        observer: of the stream.
        clock: seconds that only grow.
    """

    def __init__(self, tenant: str, observer: Observer, clock: Callable[[], float] = time.monotonic) -> None:
        self._tenant = tenant
        self._observer = observer
        self._clock = clock
        self._silent_until: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}

    def refuse(self, code: str, message: str, row: str | None) -> None:
        """One row more.

        Args:
            code: why.
            message: the same in words.
            row: its id, None where it has none.
        """
        self._observer.dropped(code)
        now = self._clock()
        if now < self._silent_until.get(code, now):
            self._unsaid[code] = self._unsaid.get(code, 0) + 1
            return
        self._silent_until[code] = now + LOG_INTERVAL_S
        log.warning(
            "replication.row_refused",
            tenant=self._tenant,
            code=OPERATIONAL_CODE,
            reason=code,
            message=message,
            row=row,
            unsaid=self._unsaid.pop(code, 0),
        )
