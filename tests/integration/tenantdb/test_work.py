"""A tenant's work with a database that fails in unusual ways."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from statemachine.commands import Connect, ConnectionLost, ConnectionRestored, Report, Shutdown
from statemachine.machines import DatabaseHealth, Lifecycle
from statemachine.state import TenantState
from streams.catalog.entry import CatalogEntry, Database
from streams.effects.bounds import Bounds
from streams.effects.means import Means
from streams.effects.tenant import TenantWork
from streams.tenantdb.naming import session_name
from streams.tenantdb.session import SessionLimits

pytestmark = pytest.mark.postgres

DEADLINE_S = 20.0
LONGER_MS = 1_000 * 3_600
READY = TenantState("t1", Lifecycle.READY, DatabaseHealth.UP)

SESSIONS = "select pid from pg_stat_activity where application_name = $1 and datname = $2 order by backend_start"


class Owner:
    """Owns one tenant, and nobody disputes that."""

    def __init__(self) -> None:
        self.number = 0
        self.claim = 7
        self.reports: asyncio.Queue[Report | Shutdown | Connect] = asyncio.Queue()

    def state(self, _tenant: str) -> TenantState:
        return READY

    def report(self, tenant: str, report: Report | Shutdown | Connect, causation: str) -> None:
        assert (tenant, causation) == ("t1", "effect:hold")
        self.reports.put_nowait(report)

    async def prove(self, *, doubted: bool = False) -> None:
        assert not doubted


async def test_a_lost_connection_is_told_of_before_a_server_that_hangs_lets_it_be_closed(
    database: Database, superuser: Any, limits: SessionLimits
) -> None:
    entry = CatalogEntry.model_validate({"tenant": "t1", "region": "local", "database": database.model_dump()})
    owner = Owner()

    async def load(_tenant: str) -> CatalogEntry:
        return entry

    nothing: Any = None
    means = Means._make([nothing] * len(Means._fields))._replace(
        load=load,
        serves=lambda _region: True,
        bounds=Bounds(1, 1),
        limits=replace(limits, close_ms=LONGER_MS),
        backoff_ms=(1, 1),
        chance=random.Random(7),
        now=lambda: datetime.now(UTC),
        used=lambda _tenant: False,
    )
    work = TenantWork("t1", owner, means, lambda: None)
    work.want(READY)
    async with asyncio.timeout(DEADLINE_S):
        assert await owner.reports.get() == ConnectionRestored()
    holder, pooled = [row["pid"] for row in await superuser.fetch(SESSIONS, session_name(7), database.name)]
    os.kill(pooled, signal.SIGSTOP)
    try:
        await superuser.execute("select pg_terminate_backend($1)", holder)
        async with asyncio.timeout(DEADLINE_S):
            assert isinstance(await owner.reports.get(), ConnectionLost)
        await work.close()
    finally:
        os.kill(pooled, signal.SIGCONT)
