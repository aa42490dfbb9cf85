"""The first failure that a worker cannot survive: whoever finds it tells, the worker waits for it."""

from __future__ import annotations

import asyncio

import structlog

from statemachine.errors import TenantConnectError

log = structlog.get_logger(__name__)


class Failures:
    """Collects failures; the first one ends the worker.

    Attributes:
        first: the first failure, None while there is none.
        happened: set with it.
    """

    def __init__(self) -> None:
        self.first: Exception | None = None
        self.happened = asyncio.Event()

    def tell(self, error: Exception) -> None:
        """A failure that the worker cannot survive."""
        if self.first is not None:
            return
        code = error.code if isinstance(error, TenantConnectError) else type(error).__name__
        log.error("worker.failed", code=code, message=str(error))
        self.first = error
        self.happened.set()
