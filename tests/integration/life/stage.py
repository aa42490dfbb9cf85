"""Tenants of a region, each with a database and a role of its own, and what the log tells of them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg

from statemachine.events import Event
from streams.catalog.store import Catalog
from streams.catalog.validation import validate
from streams.client import ConnectClient
from streams.devstack.postgres import PostgresServer
from streams.devstack.tenant_database import Superuser, create_tenant_database
from streams.history import HistoryEntry
from streams.settings import Settings
from tests.support.waiting import DEADLINE_S

SESSIONS = """
select pid, application_name, backend_type from pg_stat_activity
 where datname = $1 and pid <> pg_backend_pid() and application_name like 'realtime%'
"""

LOCKS = """
select count(*) from pg_locks as held join pg_database as place on place.oid = held.database
 where place.datname = $1 and held.locktype = 'advisory'
"""

END = """
select pg_terminate_backend(pid) from pg_stat_activity
 where datname = $1 and application_name like 'realtime_connect:%' order by backend_start limit $2
"""

READY = ("connect.requested", "connect.checked", "connect.provisioned")
"""How a connect goes that succeeds."""

GATEWAY = "g1"
LONG_MS = 600_000


class Tenant:
    """A tenant: its catalog entry, its database as the server's administrator sees it, and its events in order."""

    def __init__(self, stage: Stage, server: PostgresServer, entry: dict[str, Any]) -> None:
        self.name: str = entry["tenant"]
        self.entry = entry
        self.server = server
        self._stage = stage
        self._watched: AsyncGenerator[HistoryEntry, None] | None = None

    @property
    def role(self) -> str:
        """The role that it is connected as; the database has the same name."""
        return str(self.entry["database"]["user"])

    async def put(self, **changed: Any) -> None:
        """Write its catalog entry, with other fields or other fields of its database."""
        database = self.entry["database"] | changed.pop("database", {})
        self.entry = {**self.entry, **changed, "database": database}
        await asyncio.to_thread(Catalog(self._stage.settings).put, validate(self.entry))

    async def suspend(self) -> None:
        await asyncio.to_thread(Catalog(self._stage.settings).suspend, self.name)

    async def remove(self) -> None:
        await asyncio.to_thread(Catalog(self._stage.settings).remove, self.name)

    async def is_used(self, users: int = 1, *, gateway: str = GATEWAY, ttl_ms: int = LONG_MS) -> None:
        """A gateway reports its users."""
        await self._stage.client.report_users(self.name, users, gateway=gateway, ttl_ms=ttl_ms)

    async def next(self, *types: str) -> list[Event]:
        """The next events, which are of these types and no others."""
        found = [await self._following() for _ in types]
        assert [event.data.type for event in found] == list(types)
        return found

    async def reaches(self, wanted: str) -> Event:
        """The next event of a type, whatever comes before it."""
        while True:
            event = await self._following()
            if event.data.type == wanted:
                return event

    async def sql(self, statement: str, *arguments: object) -> list[Any]:
        """What the administrator asks of the server."""
        return list(await (await self._stage.administrator(self.server)).fetch(statement, *arguments))

    async def in_database(self, statement: str) -> list[Any]:
        """What the administrator asks of the tenant's database."""
        session = await self.administrator()
        try:
            return list(await session.fetch(statement))
        finally:
            await session.close()

    async def administrator(self) -> asyncpg.Connection:
        """A session of the administrator in the tenant's database; the caller closes it."""
        return await self.server.superuser_connection(self.entry["database"]["name"])

    async def sessions(self) -> dict[int, str]:
        """Application names of the service's sessions, by process id."""
        rows = await self.sql(SESSIONS, self.entry["database"]["name"])
        return {row["pid"]: row["application_name"] for row in rows}

    async def locks(self) -> int:
        """Advisory locks that are held in its database."""
        (row,) = await self.sql(LOCKS, self.entry["database"]["name"])
        return int(row["count"])

    async def end_sessions(self, number: int = 1000) -> None:
        """The server ends so many of the sessions that are held, the oldest first."""
        await self.sql(END, self.entry["database"]["name"], number)

    async def locked_out(self, *, out: bool = True) -> None:
        """Nobody can log in to its database any more, or again."""
        await self.sql(f'alter role "{self.role}" {"nologin" if out else "login"}')

    async def _following(self) -> Event:
        if self._watched is None:
            watched = self._stage.client.watch(self.name, start="start")
            self._watched = await self._stage.open.enter_async_context(aclosing(watched))
        async with asyncio.timeout(DEADLINE_S):
            event = (await anext(self._watched)).event
        assert isinstance(event, Event)
        return event


class Stage:
    """A region with its client, on which tenants appear."""

    def __init__(self, settings: Settings, client: ConnectClient, server: PostgresServer, opened: AsyncExitStack) -> None:
        self.settings = settings
        self.client = client
        self.open = opened
        self._server = server
        self._administrators: dict[PostgresServer, asyncpg.Connection] = {}

    async def administrator(self, server: PostgresServer) -> asyncpg.Connection:
        """A session of a server's administrator, kept for as long as the server keeps it."""
        kept = self._administrators.get(server)
        if kept is None or kept.is_closed():
            kept = self._administrators[server] = await server.superuser_connection()
            self.open.push_async_callback(kept.close)
        return kept

    async def tenant(
        self, *, mode: str = "off", server: PostgresServer | None = None, region: str = "local", **database: Any
    ) -> Tenant:
        """A tenant in the catalog, with an empty database; it is held once the test is over."""
        on = server or self._server
        name = f"t_{uuid.uuid4().hex[:12]}"
        made = await create_tenant_database(Superuser(on.host, on.port, on.user, on.password), name)
        entry = {"tenant": name, "region": region, "database": {**made, **database}, "replication": {"mode": mode}}
        tenant = Tenant(self, on, entry)
        self.open.push_async_callback(self._clear, tenant)
        await tenant.put()
        return tenant

    async def connected(self, **given: Any) -> Tenant:
        """A tenant that is ready."""
        tenant = await self.tenant(**given)
        await self.client.connect(tenant.name)
        await tenant.reaches("connect.provisioned")
        return tenant

    async def _clear(self, tenant: Tenant) -> None:
        """A tenant without a database must not be tried for the rest of the session."""
        await self.client.pause(tenant.name, reason="the test is over")
        await tenant.sql(f'drop database if exists "{tenant.name}" with (force)')


@asynccontextmanager
async def stage(settings: Settings, server: PostgresServer) -> AsyncIterator[Stage]:
    """A stage; its tenants are held in the end."""
    async with ConnectClient(settings) as client, AsyncExitStack() as opened:
        yield Stage(settings, client, server, opened)


def ended(event: Event) -> tuple[str, str | None]:
    """Reason and code of a stop."""
    return getattr(event.data, "reason"), getattr(event.data, "code")


def moment(event: Event, field: str) -> datetime:
    """A time that an event names."""
    found = getattr(event.data, field)
    assert isinstance(found, datetime)
    return found


async def refused(asked: Any) -> Any:
    """The refusal that a question ends with."""
    try:
        await asked
    except Exception as error:  # noqa: BLE001  whatever it is, the test looks at it
        return error
    raise AssertionError("it was not refused")
