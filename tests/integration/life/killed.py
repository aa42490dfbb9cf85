"""The scene of a crash: tenants in the middle of everything, whose owner is killed and relieved."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg
import pytest
import pytest_asyncio

from streams.devstack.kafka.server import KafkaServer
from streams.devstack.postgres import PostgresServer
from streams.tenantdb.naming import MIGRATION_LOCK_SPACE, lock_key
from streams.wire.reply import TenantStatus
from tests.integration.life.region import ready
from tests.integration.life.relay import Relay, relaying
from tests.integration.life.stage import Stage, Tenant, Told, refused, staged
from tests.integration.worker.processes import Processes
from tests.integration.worker.scene import Scene
from tests.support.region import fresh_region

WINDOWS: Final = {
    "connect_failures_window_ms": 14_000,
    "database_recovery_window_ms": 14_000,
    "idle_window_ms": 2_000,
    "idle_grace_ms": 12_000,
    "users_check_interval_ms": 200,
    "housekeeping_interval_ms": 10_000,
    "housekeeping_jitter_max_ms": 1,
    "database_backoff_min_ms": 100,
    "database_backoff_max_ms": 300,
}
EXPIRED: Final = """
do 'begin
  create table realtime.messages_2001_01_01 partition of realtime.messages
    for values from (''2001-01-01'') to (''2001-01-02'');
  alter table realtime.messages_2001_01_01 owner to "{role}";
end'
"""
UNUSED: Final = timedelta(milliseconds=WINDOWS["idle_window_ms"] + WINDOWS["idle_grace_ms"])


@dataclass(frozen=True)
class Killed:
    """Tenants whose owner was killed; another one has taken over.

    Attributes:
        stage: where they are.
        limited: connecting failed too often.
        limit: the event that said so.
        recovering: its database was lost.
        lost: the event that said so.
        idle: nobody used it for the whole window.
        due: when it is stopped, as the log said.
        left: its last user left just before; nobody said yet that it is idle.
        left_at: when that was.
        moved: its catalog entry named another database while nobody owned it.
        streamed: its catalog entry named another mode of replication meanwhile.
        rotated: its password became another one meanwhile.
        stopped: it was shut down just before, and has a day that has expired.
        vanished: it was being stopped, and its server never heard of the end of the owner's sessions.
        stopping: the one who waits for that.
        awaited: it was being provisioned, and somebody waits for it.
        runner: holds that up.
        caller: the one who waits.
    """

    stage: Stage
    limited: Tenant
    limit: Told
    recovering: Tenant
    lost: Told
    idle: Tenant
    due: datetime
    left: Tenant
    left_at: datetime
    moved: Tenant
    streamed: Tenant
    rotated: Tenant
    stopped: Tenant
    vanished: Tenant
    stopping: asyncio.Task[TenantStatus]
    awaited: Tenant
    runner: asyncpg.Connection
    caller: asyncio.Task[TenantStatus]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def killed(
    kafka: KafkaServer, server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Killed]:
    settings = fresh_region(kafka, "killed", session_timeout_ms=6_000, **WINDOWS)
    processes = Processes(settings, tmp_path_factory.mktemp("killed"))
    try:
        first = processes.start("w1")
        ready(first, settings)
        async with relaying(server) as relay, staged(settings, server) as stage:
            tenants = await _in_the_middle(stage, relay)
            first.kill()
            await _changed_meanwhile(tenants)
            ready(processes.start("w2"), settings)
            yield tenants
            await stage.clear()
        Scene(settings).audit()
    finally:
        processes.kill_all()


async def _in_the_middle(stage: Stage, relay: Relay) -> Killed:
    idle = await stage.connected()
    moved, streamed, rotated = [await stage.used() for _ in range(3)]
    left, recovering, stopped = [await stage.used() for _ in range(3)]
    await stage.client.shutdown(stopped.name)
    await stopped.in_database(EXPIRED.format(role=stopped.role))
    vanished = await stage.used(port=relay.port)
    awaited, limited = await stage.tenant(), await stage.tenant()
    runner = await awaited.administrator()
    await runner.execute("select pg_advisory_lock($1)", lock_key(MIGRATION_LOCK_SPACE, ""))
    caller = asyncio.create_task(stage.client.connect(awaited.name, timeout_ms=60_000))
    await awaited.next("connect.requested", "connect.checked")
    await limited.put(database={"password": "wrong"})
    await recovering.locked_out()
    await recovering.end_sessions()
    lost, _ = await recovering.next("database.lost", "database.lost")
    for _ in range(3):
        await refused(stage.client.connect(limited.name))
    limit = await limited.reaches("limit.reached")
    (told,) = await idle.next("occupancy.idle")
    relay.lose()
    stopping = asyncio.create_task(stage.client.shutdown(vanished.name, timeout_ms=60_000))
    await vanished.next("connect.stopping")
    assert (await stage.client.status(vanished.name)).why.code == "stopping"
    left_at = datetime.now(UTC)
    await left.is_used(0)
    return Killed(
        stage,
        limited,
        limit,
        recovering,
        lost,
        idle,
        told.data.shutdown_at,
        left,
        left_at,
        moved,
        streamed,
        rotated,
        stopped,
        vanished,
        stopping,
        awaited,
        runner,
        caller,
    )


async def _changed_meanwhile(tenants: Killed) -> None:
    moved, rotated = tenants.moved, tenants.rotated
    await moved.sql(f"create database {moved.name}_2 owner {moved.role}")
    await moved.put(database={"name": f"{moved.name}_2"})
    await tenants.streamed.put(replication={"mode": "temporary"})
    await rotated.sql(f"alter role {rotated.role} password 'rotated'")
    await rotated.put(database={"password": "rotated"})
