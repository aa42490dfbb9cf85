"""Tenants of a region, each with a database and a role of its own, and what the log tells of them."""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import asyncpg
import pytest

from statemachine.events import Event
from streams.catalog.crypto import Cipher
from streams.catalog.record import encode
from streams.catalog.validation import validate
from streams.client import Answered, ConnectClient
from streams.devstack.postgres import PostgresServer
from streams.devstack.tenant_database import Superuser, create_tenant_database
from streams.kafka.clients import producer
from streams.settings import Settings
from streams.topics import Topics
from tests.support.waiting import DEADLINE_S

SESSIONS: Final = """
select pid, application_name from pg_stat_activity
 where datname = $1 and application_name like 'realtime%' and application_name <> 'realtime_janitor'
"""
"""Sessions of the service; housekeeping, which comes to tenants without a connection too, is none of theirs."""

LOCKS: Final = """
select count(*) from pg_locks as held join pg_database as place on place.oid = held.database
 where place.datname = $1 and held.locktype = 'advisory'
"""

END: Final = """
select pg_terminate_backend(pid) from pg_stat_activity
 where datname = $1 and application_name like 'realtime_connect:%' order by backend_start limit $2
"""

READY: Final = ("connect.requested", "connect.checked", "connect.provisioned")
"""How a connect goes that succeeds."""

GATEWAY: Final = "g1"
LONG_MS: Final = 600_000

USERS: Final = "occupancy."
"""How the types begin of what reports of users lead to."""

Told = Any
"""An `Event` whose payload the test knows."""


class Tenant:
    """A tenant: its catalog entry, its database as the server's administrator sees it, and its events in order."""

    def __init__(self, stage: Stage, server: PostgresServer, entry: dict[str, Any]) -> None:
        self.name: str = entry["tenant"]
        self.entry = entry
        self.server = server
        self._stage = stage
        self._told = stage.told[self.name]

    @property
    def role(self) -> str:
        """The role that it is connected as; the database has the same name."""
        return str(self.entry["database"]["user"])

    async def put(self, **changed: Any) -> None:
        """Write its catalog entry, with other fields or other fields of its database."""
        database = self.entry["database"] | changed.pop("database", {})
        self.entry = {**self.entry, **changed, "database": database}
        await self._stage.write(self.name, encode(validate(self.entry), Cipher(self._stage.settings.encryption_keys)))

    async def remove(self) -> None:
        """Take it out of the catalog."""
        await self._stage.write(self.name, None)

    async def is_used(self, users: int = 1, *, gateway: str = GATEWAY, ttl_ms: int = LONG_MS) -> None:
        """A gateway reports its users."""
        await self._stage.client.report_users(self.name, users, gateway=gateway, ttl_ms=ttl_ms)

    async def next(self, *types: str) -> list[Told]:
        """The next events, which are of these types and no others, in this order.

        Reports of users take a way of their own, so what they lead to comes anywhere among the others, or unasked for.
        """
        found: dict[int, Told] = {}
        while len(found) < len(types):
            event = await self._following()
            about_users = event.data.type.startswith(USERS)
            due = [at for at, wanted in enumerate(types) if at not in found and wanted.startswith(USERS) == about_users]
            if due or not about_users:
                assert due and types[due[0]] == event.data.type, event  # noqa: PT018 - one sentence about one event
                found[due[0]] = event
        return [found[at] for at in range(len(types))]

    async def up_to(self, wanted: str) -> list[Told]:
        """The next events up to one of a type, that one included, without what reports of users lead to."""
        found = [await self._following()]
        while found[-1].data.type != wanted:
            found.append(await self._following())
        return [event for event in found if not event.data.type.startswith(USERS)]

    async def reaches(self, wanted: str) -> Told:
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
        async with asyncio.timeout(DEADLINE_S):
            return await self._told.get()


class Stage:
    """A region with its client, on which tenants appear.

    Attributes:
        told: the events that nobody has looked at yet, by tenant.
    """

    def __init__(self, settings: Settings, client: ConnectClient, server: PostgresServer) -> None:
        self.settings = settings
        self.client = client
        self.told: defaultdict[str, asyncio.Queue[Event]] = defaultdict(asyncio.Queue)
        self._server = server
        self._tenants: list[Tenant] = []
        self._administrators: dict[PostgresServer, asyncpg.Connection] = {}
        self._catalog = Topics(settings).tenants
        # One for all: a new one takes half a second until it may write.
        self._writer = producer(settings)

    async def follow(self) -> None:
        """Read the log for as long as the client is open."""
        async for entry in self.client.watch(start="start"):
            if isinstance(entry.event, Event):
                self.told[entry.event.tenant].put_nowait(entry.event)

    async def administrator(self, server: PostgresServer) -> asyncpg.Connection:
        """A session of a server's administrator, kept for as long as the server keeps it."""
        kept = self._administrators.get(server)
        if kept is None or kept.is_closed():
            kept = self._administrators[server] = await server.superuser_connection()
        return kept

    async def write(self, tenant: str, record: bytes | None) -> None:
        """A record of the catalog, acknowledged when this returns."""
        self._writer.produce(self._catalog, record, tenant)
        assert await asyncio.to_thread(self._writer.flush, DEADLINE_S) == 0

    async def tenant(
        self, *, mode: str = "off", server: PostgresServer | None = None, region: str = "local", **database: Any
    ) -> Tenant:
        """A tenant in the catalog, with an empty database."""
        on = server or self._server
        name = f"t_{uuid.uuid4().hex[:12]}"
        made = await create_tenant_database(Superuser(on.host, on.port, on.user, on.password), name)
        entry = {"tenant": name, "region": region, "database": {**made, **database}, "replication": {"mode": mode}}
        tenant = Tenant(self, on, entry)
        self._tenants.append(tenant)
        await tenant.put()
        return tenant

    async def connected(self, **given: Any) -> Tenant:
        """A tenant that is ready."""
        tenant = await self.tenant(**given)
        await self.client.connect(tenant.name)
        await tenant.next(*READY)
        return tenant

    async def used(self, **given: Any) -> Tenant:
        """A tenant that is ready and has a user."""
        tenant = await self.tenant(**given)
        await tenant.is_used()
        await self.client.connect(tenant.name)
        await tenant.reaches("occupancy.used")
        return tenant

    async def clear(self) -> None:
        """A tenant whose test is over must not be tried for the rest of the session."""
        tenants, self._tenants = self._tenants, []
        for tenant in tenants:
            await self.client.pause(tenant.name, reason="the test is over")
            await self.client.shutdown(tenant.name)
            await tenant.sql(f'drop database "{tenant.name}" with (force)')

    async def close(self) -> None:
        """Give the administrators' sessions up."""
        for session in self._administrators.values():
            session.terminate()


@asynccontextmanager
async def staged(settings: Settings, server: PostgresServer) -> AsyncIterator[Stage]:
    """A stage for any number of tests."""
    async with AsyncExitStack() as opened:
        client = await opened.enter_async_context(ConnectClient(settings))
        stage = Stage(settings, client, server)
        opened.push_async_callback(stage.close)
        following = asyncio.create_task(stage.follow())
        yield stage
    await following


def ended(event: Told) -> tuple[str, str | None]:
    """Reason and code of a stop."""
    return event.data.reason, event.data.code


async def refused(asked: Awaitable[object]) -> Answered:
    """The refusal that a question ends with."""
    with pytest.raises(Answered) as found:
        await asked
    return found.value
