"""What a ready tenant holds: the lock on a session of its own, and the durable pool."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator
from typing import Any

import asyncpg

from streams.catalog.entry import Database
from streams.tenantdb.failure import (
    DRIVER_ERRORS,
    OperationalCode,
    Reason,
    TenantDatabaseFailure,
    target,
    translated,
)
from streams.tenantdb.lock import take_lock
from streams.tenantdb.naming import session_name
from streams.tenantdb.session import SessionLimits, close_session, open_session

OPENINGS_MAX = 8
"""Pooled sessions of one tenant that are being opened at a time: the server starts a process for each."""

END_BACKENDS = "select pg_catalog.pg_terminate_backend(pid) from pg_catalog.unnest($1::integer[]) as pid"


class TenantConnection:
    """One incarnation of a tenant's connection: opened, held, lost or closed; never mended.

    Once `lost` is set nothing new is opened under this claim: close it, and open another one.

    Attributes:
        claim: under which it is held.
        lost: set when the lock's session or a pooled one ended without `close`.
    """

    __slots__ = ("_closing", "_database", "_limits", "_lock_session", "_name", "_pool", "_sessions", "claim", "lost")

    def __init__(self, database: Database, claim: int, limits: SessionLimits) -> None:
        self.claim = claim
        self.lost = asyncio.Event()
        self._name = session_name(claim)
        self._database = database
        self._limits = limits
        self._closing = False
        self._sessions: set[Any] = set()
        self._lock_session: Any = None
        self._pool: Any = None

    @classmethod
    async def open(
        cls, database: Database, *, tenant: str, claim: int, limits: SessionLimits | None = None
    ) -> TenantConnection:
        """Take the tenant's lock, then open the pool with all of its sessions, or nothing.

        Args:
            database: where to.
            tenant: whose lock to take.
            claim: under which; sessions of older claims are ended.
            limits: bounds, default `SessionLimits()`.

        Raises:
            NewerClaimHoldsLock: somebody with a newer claim holds the tenant.
            TenantDatabaseFailure: the database cannot be reached, or the lock is not to be had, or one session of the
                pool is not.
        """
        connection = cls(database, claim, limits or SessionLimits())
        try:
            await connection._take_lock(tenant)
            await connection._open_pool()
        except BaseException:
            connection._cut()
            raise
        return connection

    @property
    def pool(self) -> Any:
        """The `asyncpg.Pool`; `session` is the way to it that keeps the bound on waiting."""
        return self._pool

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[Any]:
        """Lend a pooled session for the block, waiting at most the entry's `queue_target_ms` for it.

        Raises:
            TenantDatabaseFailure: none was free in time, or the connection is lost, or the block raised an error of the
                driver.
        """
        wait_ms = self._database.queue_target_ms
        with translated(self._database, f"Waiting {wait_ms} ms for one of {self._database.pool_size} pooled sessions"):
            session = await self._pool.acquire(timeout=wait_ms / 1000)
        with translated(self._database, "Using a pooled session"):
            try:
                yield session
            finally:
                # Left to itself, the pool would give cleaning the session as long as waiting for it.
                await self._pool.release(session, timeout=self._limits.statement_ms / 1000)

    def backend_pids(self) -> tuple[int, ...]:
        """Return the server process ids of the sessions that are open: the lock's, then the pool's."""
        pooled = sorted(self._sessions, key=lambda session: int(session.get_server_pid()))
        return tuple(session.get_server_pid() for session in (self._lock_session, *pooled) if not session.is_closed())

    async def close(self) -> None:
        """Close the pool, then release the lock; within three times `close_ms`, whatever the server does.

        Sessions that are in use after `close_ms` are ended on the server. Raises nothing but cancellation.
        """
        self._closing = True
        try:
            await self._close_pool()
            await close_session(self._lock_session, self._limits.close_ms)
        finally:
            self._cut()

    async def _take_lock(self, tenant: str) -> None:
        self._lock_session = await open_session(self._database, application_name=self._name, limits=self._limits)
        self._lock_session.add_termination_listener(self._ended)
        await take_lock(
            self._lock_session, self._database, tenant=tenant, claim=self.claim, wait_ms=self._limits.takeover_ms
        )

    async def _open_pool(self) -> None:
        opened = await self._open_sessions()

        async def hand_over(*_arguments: Any, **_options: Any) -> Any:
            if not opened:
                raise self._gone()
            return opened.pop()

        with translated(self._database, "Opening the pool"):
            # No minimum, no recycling, no idle timer: the pool would reopen sessions by itself, which only the owner
            # of the claim may decide; and a thousand tenants have no thousand timers.
            self._pool = await asyncpg.create_pool(
                init_size=self._database.pool_size,
                min_size=0,
                max_size=self._database.pool_size,
                max_queries=math.inf,
                max_inactive_connection_lifetime=0,
                connect=hand_over,
            )
        if self.lost.is_set():
            raise self._gone()

    async def _open_sessions(self) -> list[Any]:
        """Open all sessions of the pool; where one fails no other one is opened any more."""
        places = asyncio.Semaphore(OPENINGS_MAX)
        openings = [asyncio.create_task(self._open_session(places)) for _ in range(self._database.pool_size)]
        try:
            return await asyncio.gather(*openings)
        finally:
            for opening in openings:
                opening.cancel()
            await asyncio.gather(*openings, return_exceptions=True)

    async def _open_session(self, places: asyncio.Semaphore) -> Any:
        async with places:
            if self.lost.is_set():
                raise self._gone()
            session = await open_session(self._database, application_name=self._name, limits=self._limits)
        session.add_termination_listener(self._ended)
        self._sessions.add(session)
        return session

    def _gone(self) -> TenantDatabaseFailure:
        return TenantDatabaseFailure(
            Reason.UNAVAILABLE,
            OperationalCode.UNABLE_TO_CONNECT,
            f"The connection to {target(self._database)} is lost; nothing more is opened under claim {self.claim}.",
        )

    def _ended(self, session: Any) -> None:
        self._sessions.discard(session)
        if not self._closing:
            self.lost.set()

    async def _close_pool(self) -> None:
        if self._pool is None:
            return
        pooled = [session.get_server_pid() for session in self._sessions if not session.is_closed()]
        try:
            async with asyncio.timeout(self._limits.close_ms / 1000):
                await self._pool.close()
        except DRIVER_ERRORS:
            await self._end_backends(pooled)

    async def _end_backends(self, pids: list[int]) -> None:
        """End sessions on the server: one in the middle of a statement would outlive its cut socket."""
        # Where the server does not answer any more there is nothing else to do than to cut, and that comes next.
        with contextlib.suppress(*DRIVER_ERRORS):
            await self._lock_session.fetch(END_BACKENDS, pids, timeout=self._limits.close_ms / 1000)

    def _cut(self) -> None:
        self._closing = True
        for session in (*self._sessions, self._lock_session):
            if session is not None and not session.is_closed():
                session.terminate()
