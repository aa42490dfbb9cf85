"""The lock of a tenant, and holders that come back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from streams.catalog.entry import Database
from streams.tenantdb.failure import DRIVER_ERRORS
from streams.tenantdb.lock import TAKE, take_lock
from streams.tenantdb.naming import TENANT_LOCK_SPACE, lock_key, session_name
from streams.tenantdb.session import SessionLimits, short_session

pytestmark = pytest.mark.postgres

TENANT = "t1"
KEY = lock_key(TENANT_LOCK_SPACE, TENANT)


class Persistent:
    """A holder under an older claim that takes the lock anew, without a pause, whenever it was ended.

    Attributes:
        times: how often it had the lock.
        holds: it has had the lock once.
    """

    def __init__(self, database: Database, limits: SessionLimits) -> None:
        self.times = 0
        self.holds = asyncio.Event()
        self._database = database
        self._limits = limits

    async def run(self) -> None:
        while True:
            with contextlib.suppress(*DRIVER_ERRORS):
                await self._hold()

    async def _hold(self) -> None:
        async with short_session(self._database, application_name=session_name(5), limits=self._limits) as session:
            ended = asyncio.Event()
            session.add_termination_listener(lambda _: ended.set())
            while not await session.fetchval(TAKE, KEY):
                pass
            self.times += 1
            self.holds.set()
            await ended.wait()


@pytest.fixture
async def persistent(database: Database, limits: SessionLimits) -> AsyncIterator[Persistent]:
    holder = Persistent(database, limits)
    running = asyncio.create_task(holder.run())
    await holder.holds.wait()
    yield holder
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_an_older_holder_that_comes_back_at_once_does_not_overtake_the_newer_one(
    database: Database, limits: SessionLimits, persistent: Persistent
) -> None:
    async with short_session(database, application_name=session_name(9), limits=limits) as session:
        await take_lock(session, database, tenant=TENANT, claim=9, wait_ms=limits.takeover_ms)
    # It is ended once; a server that is slow to end it may let it come back one more time.
    assert persistent.times <= 2
