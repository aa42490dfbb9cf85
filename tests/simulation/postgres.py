"""Tenants' databases: a server with sessions, advisory locks and a limit, reached through asyncpg's interface.

The SQL that the lock and the check send is recognised by its text, so a statement that is changed there has to be
known here. What the server does is done when the statement arrives, whether or not anybody still waits for the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import asyncpg

from streams.tenantdb import check, connection, lock
from streams.tenantdb.naming import claim_of
from tests.simulation.link import RETRY_S, Link, Passage
from tests.simulation.locks import Locks
from tests.simulation.scheduler import Scheduler

Found = TypeVar("Found")

END_WAY_S: Final = 0.03
"""How long a backend takes to end when it is told to, on average."""

STUBBORN_SHARE: Final = 0.05
"""Share of backends that take `STUBBORN_S` to end."""

STUBBORN_S: Final = 1.5

SLOW_MIN: Final = 10.0
"""From this factor on statements are given up in time."""

WAY_S_MAX: Final = 3.0
"""The longest way to or from a server that is slow: longer than anybody waits."""

LOOK_S: Final = 0.02
"""How often a session that waits for a lock looks whether it has it."""

MIGRATIONS: Final = 81


class Server:
    """One PostgreSQL server with a database per tenant.

    Args:
        scheduler: virtual time.
        name: its host name.
        connections_max: how many sessions it takes.

    Attributes:
        up: whether it runs.
        slow: by how much longer everything takes.
        foreign: sessions of others, which take up room.
        opened: told of each session that was opened.
        sessions: those that live, in the order in which they were opened.
    """

    def __init__(self, scheduler: Scheduler, name: str, connections_max: int) -> None:
        self.name = name
        self.up = True
        self.slow = 1.0
        self.foreign = 0
        self.connections_max = connections_max
        self.sessions: dict[int, Session] = {}
        self.locks = Locks()
        self.opened: Callable[[Session], None] = lambda _: None
        self.scheduler = scheduler
        self._pids = 0
        self._opening: dict[asyncio.Future[Session], Session] = {}

    def __str__(self) -> str:
        return self.name

    def way_s(self) -> float:
        """How long one way to or from it takes."""
        return min(self.scheduler.way_s() * self.slow, WAY_S_MAX)

    def open(self, database: str, application_name: str, link: Link) -> Session:
        """A new session.

        Raises:
            OSError: it is not up.
            TooManyConnectionsError: it takes no more sessions.
        """
        if not self.up:
            raise ConnectionRefusedError("connection refused")
        if len(self.sessions) + self.foreign >= self.connections_max:
            raise asyncpg.TooManyConnectionsError("sorry, too many clients already")
        self._pids += 1
        session = self.sessions[self._pids] = Session(self, self._pids, database, application_name, link)
        self.opened(session)
        return session

    async def connect(self, database: str, application_name: str, link: Link, timeout_s: float) -> Session:
        """`asyncpg.connect`: there, and back with a session or a refusal, or given up in time."""
        answered: asyncio.Future[Session] = link.loop.create_future()
        self.scheduler.after(self.way_s(), self._arrive, database, application_name, link, answered)
        timed = self.slow >= SLOW_MIN or link.database is Passage.CUT
        try:
            async with asyncio.timeout(timeout_s if timed else None):
                return await answered
        except BaseException:
            # Whatever came of it meanwhile, the driver closes what nobody gets.
            session = self._opening.get(answered)
            if session is not None:
                session.terminate()
            raise
        finally:
            self._opening.pop(answered, None)

    def _arrive(self, database: str, name: str, link: Link, answered: asyncio.Future[Session]) -> None:
        if link.dead or answered.done():
            return
        # Logging in takes the client's part: one that is frozen has no session before it goes on.
        if link.frozen or link.database is Passage.CUT:
            self.scheduler.after(RETRY_S, self._arrive, database, name, link, answered)
            return
        try:
            session = self.open(database, name, link)
        except (OSError, asyncpg.TooManyConnectionsError) as refusal:
            self.scheduler.after(self.way_s(), self._refuse, answered, refusal)
        else:
            self._opening[answered] = session
            self.scheduler.after(self.way_s(), self._greet, answered, session)

    @staticmethod
    def _refuse(answered: asyncio.Future[Session], refusal: Exception) -> None:
        if not answered.done():
            answered.set_exception(refusal)

    @staticmethod
    def _greet(answered: asyncio.Future[Session], session: Session) -> None:
        if answered.done():
            return
        if session.alive and not session.link.dead:
            answered.set_result(session)
        elif not session.link.dead:
            answered.set_exception(asyncpg.ConnectionDoesNotExistError("connection was closed"))

    def fail(self) -> None:
        """Go down: every session ends at once."""
        self.up = False
        for session in list(self.sessions.values()):
            session.ended()

    def end_sessions(self, database: str, names: list[str], but: int) -> None:
        """`pg_terminate_backend` for all sessions of these names."""
        for session in list(self.sessions.values()):
            if session.database == database and session.application_name in names and session.pid != but:
                session.end_soon()


class Session:
    """One session: the backend on the server, and asyncpg's connection in the client.

    Attributes:
        alive: the backend lives.
        ending: the backend was told to end.
    """

    def __init__(self, server: Server, pid: int, database: str, application_name: str, link: Link) -> None:
        self.server = server
        self.pid = pid
        self.database = database
        self.application_name = application_name
        self.link = link
        self.alive = True
        self.ending = False
        self._closed = False
        self._listeners: list[Callable[[Any], None]] = []
        self._waiting: list[asyncio.Future[Any]] = []
        self._transport = _Transport()

    def __str__(self) -> str:
        return f"{self.server}/{self.database} backend {self.pid} ({self.application_name}, of {self.link})"

    @property
    def claim(self) -> int | None:
        """The claim in its name, if it has one."""
        return claim_of(self.application_name)

    # The backend

    def end_soon(self) -> None:
        """The backend was told to end."""
        if not self.ending:
            self.ending = True
            chance = self.server.scheduler.random
            delay_s = STUBBORN_S if chance.random() < STUBBORN_SHARE else END_WAY_S * chance.random()
            self.server.scheduler.after(delay_s, self.ended)

    def ended(self) -> None:
        """The backend is gone; its client learns of it."""
        if not self.alive:
            return
        self.alive = False
        self.server.sessions.pop(self.pid, None)
        self.server.locks.ended(self)
        self.server.scheduler.after(self.server.way_s(), self._hear_of_end)

    def _hear_of_end(self) -> None:
        if self.link.dead or self._closed:
            return
        self._closed = True
        for answered in self._waiting:
            if not answered.done():
                answered.set_exception(asyncpg.ConnectionDoesNotExistError("connection was closed"))
        for listener in self._listeners:
            self.link.loop.call_soon(listener, self)

    # asyncpg's side

    async def ask(self, work: Callable[[], Found], timeout_s: float = 30.0) -> Found:
        """Have something done by the backend."""
        if self._closed:
            raise asyncpg.InterfaceError("connection is closed")
        answered: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
        self._waiting.append(answered)
        self.server.scheduler.after(self.server.way_s(), self._arrive, work, answered)
        try:
            # A timer for each statement would be most of what there is to do.
            timed = self.server.slow >= SLOW_MIN or self.link.database is Passage.CUT
            async with asyncio.timeout(timeout_s if timed else None):
                return await answered
        finally:
            self._waiting.remove(answered)

    def _arrive(self, work: Callable[[], Found], answered: asyncio.Future[Found]) -> None:
        if self.alive and self.link.database is Passage.CUT and not self.link.dead:
            self.server.scheduler.after(RETRY_S, self._arrive, work, answered)
        elif self.alive:
            self.server.scheduler.after(self.server.way_s(), self._answer, answered, work())

    def _answer(self, answered: asyncio.Future[Found], found: Found) -> None:
        if not answered.done() and not self.link.dead:
            answered.set_result(found)

    def add_termination_listener(self, listener: Callable[[Any], None]) -> None:
        """Call when the connection ends, for whatever reason."""
        self._listeners.append(listener)

    def is_closed(self) -> bool:
        """Whether the client knows it to be over."""
        return self._closed

    def get_server_pid(self) -> int:
        """The backend's process id."""
        return self.pid

    async def execute(self, query: str, key: int | None = None, *, timeout: float = 30.0) -> str:
        """The question whether the greeter answers, and waiting for a lock."""
        if query == lock.QUEUE:
            await self._queue(key or 0)
            return "SELECT 1"
        if query.startswith("set lock_timeout"):
            return await self.ask(lambda: "SET")
        assert "pg_backend_pid" in query, f"the simulated server does not know: {query}"
        return await self.ask(lambda: "SELECT 1", timeout)

    async def fetchval(self, query: str, *arguments: Any) -> Any:
        """The first value of a known statement."""
        return await self.ask(lambda: self._values()[query](*arguments))

    async def fetchrow(self, query: str, *arguments: Any) -> Mapping[str, Any] | None:
        """The first row of a known statement."""
        row: Mapping[str, Any] | None = await self.ask(lambda: self._values()[query](*arguments))
        return row

    async def fetch(self, query: str, *arguments: Any, timeout: float = 30.0) -> None:
        """The rows of a known statement; nobody reads them."""
        await self.ask(lambda: self._values()[query](*arguments), timeout)

    async def close(self, *, timeout: float) -> None:
        """Close gracefully."""
        if not self._closed:
            await self.ask(lambda: None, timeout)
            self._end_here()

    def terminate(self) -> None:
        """Cut the connection."""
        if not self._closed:
            self._end_here()

    def _end_here(self) -> None:
        self._closed = True
        self.server.scheduler.after(self.server.way_s(), self.ended)
        for listener in self._listeners:
            self.link.loop.call_soon(listener, self)

    def _values(self) -> dict[str, Callable[..., Any]]:
        return {
            lock.TAKE: self._take,
            lock.HOLDER: self._holder,
            lock.END_SESSIONS: lambda names: self.server.end_sessions(self.database, names, self.pid),
            connection.END_BACKENDS: self._end_backends,
            check.CONNECTIONS: lambda _own: {
                "connections_max": self.server.connections_max,
                "used": self.server.foreign,
            },
            check.MIGRATIONS_TABLE_EXISTS: lambda: True,
            check.MIGRATIONS_COUNT: lambda: MIGRATIONS,
        }

    def _take(self, key: int) -> bool:
        return self.server.locks.take((self.database, key), self)

    async def _queue(self, key: int) -> None:
        """Look whether the lock was granted, until `lock.QUEUE_MS` is over."""
        locks, place = self.server.locks, (self.database, key)
        until = self.server.scheduler.now + lock.QUEUE_MS / 1000
        await self.ask(lambda: locks.queue(place, self))
        while not await self.ask(lambda: locks.holder(place) is self):
            if self.server.scheduler.now >= until:
                if await self.ask(lambda: locks.leave(place, self)):
                    return
                raise asyncpg.LockNotAvailableError("canceling statement due to lock timeout")
            await asyncio.sleep(LOOK_S)

    def _holder(self, key: int) -> Mapping[str, Any] | None:
        holder = self.server.locks.holder((self.database, key))
        if holder is None:
            return None
        return {"pid": holder.pid, "application_name": holder.application_name, "usename": "tenant"}

    def _end_backends(self, pids: list[int]) -> None:
        for pid in pids:
            if pid in self.server.sessions:
                self.server.sessions[pid].end_soon()


class _Transport:
    """Has no socket, so that nothing can be set on it."""

    def get_extra_info(self, _name: str) -> None:
        return None
