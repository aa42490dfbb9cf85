"""Bounds on work against tenants' databases: per worker, and per database server."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Bounds:
    """Lets a bounded number of effects run at once.

    A place at the server is taken before one in the worker, so that a busy server holds back only its own.

    Args:
        per_worker_max: effects at once in this worker.
        per_server_max: of those, effects at once against one server.
    """

    def __init__(self, per_worker_max: int, per_server_max: int) -> None:
        self._worker = asyncio.Semaphore(per_worker_max)
        self._servers: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(per_server_max))

    @asynccontextmanager
    async def place(self, server: str) -> AsyncIterator[None]:
        """Hold a place while working against ``server``, named by host and port."""
        async with self._servers[server], self._worker:
            yield
