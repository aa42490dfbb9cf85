"""asyncpg's pool over simulated sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any

from tests.simulation.postgres import Session


class Pool:
    """asyncpg's pool, as far as a tenant's connection uses it: it opens with the callable that it is given.

    Args:
        connect: opens a session.
        size: most sessions at once.
    """

    def __init__(self, connect: Callable[[], Any], size: int) -> None:
        self._connect = connect
        self._sessions: list[Session] = []
        self._places = asyncio.Semaphore(size)

    def acquire(self, *, timeout: float | None = None) -> Lease:
        """Lend a session: to await, or for a block."""
        return Lease(self, timeout)

    async def release(self, _session: Session, *, timeout: float | None = None) -> None:
        """Take a session back."""
        del timeout
        self._places.release()

    async def close(self) -> None:
        """Close every session."""
        for session in self._sessions:
            await session.close(timeout=30.0)

    async def lend(self, timeout: float | None) -> Session:
        """A session that nobody else has."""
        async with asyncio.timeout(timeout):
            await self._places.acquire()
        try:
            idle = [session for session in self._sessions if not session.is_closed()]
            if not idle:
                idle = [await self._connect()]
                self._sessions += idle
        except BaseException:
            self._places.release()
            raise
        return idle[0]


class Lease:
    """What `Pool.acquire` gives."""

    def __init__(self, pool: Pool, timeout: float | None) -> None:
        self._pool = pool
        self._timeout = timeout
        self._session: Session

    def __await__(self) -> Generator[Any, None, Session]:
        return self._pool.lend(self._timeout).__await__()

    async def __aenter__(self) -> Session:
        self._session = await self._pool.lend(self._timeout)
        return self._session

    async def __aexit__(self, *_: object) -> None:
        await self._pool.release(self._session)
