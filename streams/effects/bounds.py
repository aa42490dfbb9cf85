"""Bounds on work against tenants' databases: per worker, and per database server."""

from __future__ import annotations

import asyncio
import heapq
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count


class Places:
    """So many places; whoever finds none free waits, those who go first before the others, else in order.

    Args:
        number: places at once.
    """

    def __init__(self, number: int) -> None:
        self._free = number
        self._order = count()
        self._waiting: list[tuple[bool, int, asyncio.Future[None]]] = []
        self._turns: dict[str, asyncio.Future[None]] = {}

    async def take(self, who: str, *, first: bool) -> None:
        """Take a place, before everybody who does not go ``first``."""
        if self._free > 0:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns[who] = turn
        self._queue(turn, first=first)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()
            raise
        finally:
            if self._turns.get(who) is turn:
                del self._turns[who]

    def promote(self, who: str) -> None:
        """Whoever waits under this name goes first from now on."""
        turn = self._turns.get(who)
        if turn is not None:
            self._queue(turn, first=True)

    def leave(self) -> None:
        """Give a place to whoever is next."""
        while self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _queue(self, turn: asyncio.Future[None], *, first: bool) -> None:
        heapq.heappush(self._waiting, (not first, next(self._order), turn))


class Bounds:
    """Lets a bounded number of effects run at once.

    A place at the server is taken before one in the worker, so that a busy server holds back only its own.

    Args:
        per_worker_max: effects at once in this worker.
        per_server_max: of those, effects at once against one server.
    """

    def __init__(self, per_worker_max: int, per_server_max: int) -> None:
        self._worker = Places(per_worker_max)
        self._servers: defaultdict[str, Places] = defaultdict(lambda: Places(per_server_max))

    def promote(self, tenant: str) -> None:
        """Somebody uses the tenant: what waits for it goes first."""
        for places in (*self._servers.values(), self._worker):
            places.promote(tenant)

    @asynccontextmanager
    async def place(self, server: str, tenant: str, *, first: bool = False) -> AsyncIterator[None]:
        """Hold a place while working against ``server``, named by host and port.

        Args:
            server: where.
            tenant: whose work it is.
            first: go before everybody who does not: a tenant that somebody uses.
        """
        places = self._servers[server]
        await places.take(tenant, first=first)
        try:
            await self._worker.take(tenant, first=first)
            try:
                yield
            finally:
                self._worker.leave()
        finally:
            places.leave()
