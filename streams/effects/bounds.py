"""Bounds on work against tenants' databases: per worker, and per database server."""

from __future__ import annotations

import asyncio
import heapq
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import NamedTuple


class Places:
    """So many places; whoever finds none free waits, those who go first before the others, else in order.

    Args:
        number: places at once.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._free = number
        self._order = count()
        self._waiting: list[tuple[bool, int, asyncio.Future[None]]] = []

    @property
    def unused(self) -> bool:
        """Nobody has a place, and then nobody waits for one."""
        return self._free == self._number

    async def take(self, turns: set[Turn], *, first: bool) -> None:
        """Take a place, before everybody who does not go ``first``.

        Args:
            turns: has the turn for as long as it is waited for.
            first: go before the others.
        """
        if self._free > 0:
            self._free -= 1
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        turn = Turn(self, future)
        self._queue(future, first=first)
        turns.add(turn)
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.leave()
            raise
        finally:
            turns.discard(turn)

    def promote(self, turn: Turn) -> None:
        """Whoever waits for this turn goes first from now on."""
        self._queue(turn.future, first=True)

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


class Turn(NamedTuple):
    """Somebody waits.

    Attributes:
        places: for one of these.
        future: done once it is had.
    """

    places: Places
    future: asyncio.Future[None]


class Bounds:
    """Lets a bounded number of effects run at once.

    A place at the server is taken before one in the worker, so that a busy server holds back only its own.

    Args:
        per_worker_max: effects at once in this worker.
        per_server_max: of those, effects at once against one server.
    """

    def __init__(self, per_worker_max: int, per_server_max: int) -> None:
        self._worker = Places(per_worker_max)
        self._per_server_max = per_server_max
        self._servers: dict[str, Places] = {}
        self._turns: defaultdict[str, set[Turn]] = defaultdict(set)

    @property
    def servers(self) -> int:
        """Servers that somebody works against or waits for."""
        return len(self._servers)

    def promote(self, tenant: str) -> None:
        """Somebody uses the tenant: what waits for it goes first, at a cost that does not grow with the servers."""
        for turn in self._turns.get(tenant, ()):
            turn.places.promote(turn)

    @asynccontextmanager
    async def place(self, server: str, tenant: str, *, first: bool = False) -> AsyncIterator[None]:
        """Hold a place while working against ``server``, named by host and port.

        Args:
            server: where.
            tenant: whose work it is.
            first: go before everybody who does not: a tenant that somebody uses.
        """
        places = self._servers.get(server)
        if places is None:
            places = self._servers[server] = Places(self._per_server_max)
        try:
            await self._take(places, tenant, first=first)
            try:
                await self._take(self._worker, tenant, first=first)
                try:
                    yield
                finally:
                    self._worker.leave()
            finally:
                places.leave()
        finally:
            # Who was given up may come to know of it when there are others under the name already.
            if places.unused and self._servers.get(server) is places:
                del self._servers[server]

    async def _take(self, places: Places, tenant: str, *, first: bool) -> None:
        turns = self._turns[tenant]
        try:
            await places.take(turns, first=first)
        finally:
            if not turns:
                self._turns.pop(tenant, None)
