"""Giving a connection up: each cause is named, and nothing is left of it when the log says that it has stopped."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from streams.tenantdb.naming import MIGRATION_LOCK_SPACE, TENANT_LOCK_SPACE, lock_key, session_name
from tests.integration.life.stage import READY, Stage, Tenant, ended, refused
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.asyncio(loop_scope="session")]

STOPPED = ("connect.stopping", "connect.stopped")

Cause = Callable[[Stage, Tenant], Awaitable[None]]


async def _shutdown(stage: Stage, tenant: Tenant) -> None:
    await stage.client.shutdown(tenant.name)


async def _suspend(_stage: Stage, tenant: Tenant) -> None:
    await tenant.put(suspended=True)


async def _remove(_stage: Stage, tenant: Tenant) -> None:
    await tenant.remove()


async def _nothing_left(tenant: Tenant) -> None:
    assert (await tenant.sessions(), await tenant.locks()) == ({}, 0)


@pytest.mark.parametrize(
    ("cause", "mode", "reason", "code"),
    [
        (_shutdown, "off", "requested", None),
        (_shutdown, "durable", "requested", None),
        (_suspend, "durable", "suspended", "RealtimeDisabledForTenant"),
        (_remove, "off", "removed", None),
    ],
)
async def test_nothing_is_left_of_a_connection_when_the_log_says_that_it_has_stopped(
    calm: Stage, cause: Cause, mode: str, reason: str, code: str | None
) -> None:
    tenant = await calm.tenant(mode=mode)
    await calm.client.connect(tenant.name, wait="streaming")
    await tenant.next(*READY, *(["replication.started"] if mode == "durable" else []))
    assert await tenant.locks() == 1
    assert len(await tenant.sessions()) == (3 if mode == "durable" else 2)
    await cause(calm, tenant)
    stopping, stopped = await tenant.next(*STOPPED)
    await _nothing_left(tenant)
    assert await tenant.sql("select from pg_replication_slots where database = $1", tenant.name) == []
    assert ended(stopping) == ended(stopped) == (reason, code)
    assert (await calm.client.status(tenant.name)).why.code == reason


async def test_a_shutdown_is_answered_once_nothing_is_left(calm: Stage) -> None:
    tenant = await calm.connected(mode="durable")
    status = await calm.client.shutdown(tenant.name)
    await _nothing_left(tenant)
    assert (status.lifecycle, status.reason) == ("absent", "requested")


async def test_a_shutdown_of_a_tenant_without_a_connection_is_fine_and_no_event(calm: Stage) -> None:
    tenant = await calm.connected()
    await calm.client.shutdown(tenant.name)
    assert (await calm.client.shutdown(tenant.name)).sequence == len(READY) + len(STOPPED)


async def test_a_tenant_that_is_paused_is_given_up(calm: Stage) -> None:
    tenant = await calm.connected()
    await calm.client.pause(tenant.name, until=datetime.now(UTC) + timedelta(hours=1))
    _, stopped = await tenant.next("connect.paused", "connect.stopped")
    await _nothing_left(tenant)
    assert ended(stopped) == ("paused", None)


async def test_a_reload_closes_every_session_before_it_opens_new_ones(calm: Stage) -> None:
    tenant = await calm.connected()
    before = (await tenant.sessions()).keys()
    await calm.client.reload(tenant.name)
    _, stopped, *_ = await tenant.next(*STOPPED, *READY)
    after = (await tenant.sessions()).keys()
    assert ended(stopped) == ("requested", None)
    assert not before & after
    assert len(after) == len(before)


async def test_a_deposed_owner_that_came_back_while_the_database_was_lost_is_ended_too(calm: Stage) -> None:
    tenant = await calm.connected()
    login = {field: tenant.entry["database"][field] for field in ("host", "port", "user", "password")}
    deposed = await asyncpg.connect(**login, database=tenant.entry["database"]["name"])
    await tenant.locked_out()
    await tenant.end_sessions()
    await tenant.next("database.lost", "database.lost")
    await deposed.execute(f"set application_name = '{session_name(0)}'")
    assert await deposed.fetchval("select pg_try_advisory_lock($1)", lock_key(TENANT_LOCK_SPACE, tenant.name))
    await tenant.locked_out(out=False)
    # By itself the database is tried again in a minute.
    await calm.client.shutdown(tenant.name)
    await tenant.next(*STOPPED)
    await _nothing_left(tenant)
    deposed.terminate()


async def test_a_suspended_tenant_is_refused_until_it_is_resumed(calm: Stage) -> None:
    tenant = await calm.connected()
    await tenant.put(suspended=True)
    await tenant.next(*STOPPED)
    assert (await refused(calm.client.connect(tenant.name))).code == "tenant_suspended"
    await tenant.put(suspended=False)
    assert (await calm.client.connect(tenant.name)).lifecycle == "ready"


async def test_a_shutdown_in_the_middle_of_provisioning_leaves_nothing(calm: Stage) -> None:
    tenant = await calm.tenant()
    runner = await tenant.administrator()
    await runner.execute("select pg_advisory_lock($1)", lock_key(MIGRATION_LOCK_SPACE, ""))
    await calm.client.connect(tenant.name, wait="no")
    await tenant.next("connect.requested", "connect.checked")
    await until(lambda: _migrates(tenant))
    await calm.client.shutdown(tenant.name)
    await tenant.next(*STOPPED)
    assert await tenant.sessions() == {}
    await runner.close()
    assert await tenant.locks() == 0


async def _migrates(tenant: Tenant) -> bool:
    return "realtime_migrations" in (await tenant.sessions()).values()
