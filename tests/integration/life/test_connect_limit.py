"""Connecting that fails too often: nothing is tried for a while, and who asks learns until when."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Final

import pytest

from statemachine.errors import (
    ConnectRateLimitReached,
    TenantDatabaseUnavailable,
    TenantNotFound,
    TenantSuspended,
    TooManyConnections,
)
from streams.devstack.postgres import PostgresServer
from tests.integration.life.conftest import FAILURES_WINDOW_MS
from tests.integration.life.region import Region
from tests.integration.life.stage import READY, Stage, Tenant, Told, ended, refused

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.asyncio(loop_scope="session")]

FAILED: Final = ("connect.requested", "connect.stopped")
WINDOW: Final = timedelta(milliseconds=FAILURES_WINDOW_MS)


async def _limited(stage: Stage) -> tuple[Tenant, list[Told]]:
    """A tenant whose password is wrong, after as many connects as are too many; and its events."""
    tenant = await stage.tenant()
    await tenant.put(database={"password": "wrong"})
    for _ in range(3):
        assert isinstance(await refused(stage.client.connect(tenant.name)), TenantDatabaseUnavailable)
    return tenant, await tenant.next(*FAILED, *FAILED, *FAILED, "limit.reached")


async def test_after_three_failures_nothing_is_tried_until_the_first_is_old_enough(calm: Stage) -> None:
    tenant, events = await _limited(calm)
    first, reached = events[1], events[-1]
    assert ended(first) == ("database_unavailable", "UnableToConnectToTenantDatabase")
    assert reached.data.retry_at == first.time + WINDOW
    for _ in range(2):
        refusal = await refused(calm.client.connect(tenant.name))
        assert isinstance(refusal, ConnectRateLimitReached)
        assert refusal.retry_at == reached.data.retry_at
    (cleared,) = await tenant.next("limit.cleared")
    assert cleared.time >= reached.data.retry_at
    assert cleared.causation == "timer:connect_limit"
    assert isinstance(await refused(calm.client.connect(tenant.name)), TenantDatabaseUnavailable)
    await tenant.next(*FAILED)


async def test_an_operator_lifts_the_limit_and_the_log_says_who_and_why(calm: Stage) -> None:
    tenant, _ = await _limited(calm)
    await calm.client.retry(tenant.name, reason="the proxy is mended", author="ada")
    assert isinstance(await refused(calm.client.connect(tenant.name)), TenantDatabaseUnavailable)
    cleared, *_ = await tenant.next("limit.cleared", *FAILED)
    assert (cleared.data.reason, cleared.data.author) == ("the proxy is mended", "ada")


async def test_a_corrected_catalog_entry_lifts_the_limit(calm: Stage) -> None:
    tenant, _ = await _limited(calm)
    (row,) = await tenant.sql("select md5(random()::text) as password")
    await tenant.sql(f"alter role \"{tenant.role}\" password '{row['password']}'")
    await tenant.put(database={"password": row["password"]})
    (cleared,) = await tenant.next("limit.cleared")
    assert (cleared.data.reason, cleared.data.author) == ("the settings changed", "catalog")
    assert (await calm.client.connect(tenant.name)).lifecycle == "ready"


async def test_a_server_without_room_refuses_every_tenant_until_there_is_some(
    calm: Stage, small_server: PostgresServer
) -> None:
    tenant = await calm.tenant(server=small_server)
    async with AsyncExitStack() as others:
        for _ in range(24):
            others.push_async_callback((await small_server.superuser_connection()).close)
        refusal = await refused(calm.client.connect(tenant.name))
        assert isinstance(refusal, TooManyConnections)
    _, stopped = await tenant.next(*FAILED)
    assert ended(stopped) == ("tenant_db_too_many_connections", "DatabaseLackOfConnections")
    assert (await calm.client.connect(tenant.name)).lifecycle == "ready"


async def test_tenants_that_are_suspended_or_unknown_leave_no_event_and_have_not_failed(
    calm: Stage,
) -> None:
    tenant = await calm.tenant()
    await tenant.put(suspended=True)
    for _ in range(4):
        assert isinstance(await refused(calm.client.connect(tenant.name)), TenantSuspended)
    await tenant.remove()
    for _ in range(4):
        assert isinstance(await refused(calm.client.connect(tenant.name)), TenantNotFound)
    await tenant.put(suspended=False)
    assert (await calm.client.connect(tenant.name)).lifecycle == "ready"
    await tenant.next(*READY)


async def test_failures_and_limits_are_in_the_metrics(calm: Stage, calm_region: Region) -> None:
    code = ("UnableToConnectToTenantDatabase",)
    before = await calm_region.pages.figures("tenant_connect_connect_failures_total")
    await _limited(calm)
    after = await calm_region.pages.figures("tenant_connect_connect_failures_total")
    assert after[code] - before.get(code, 0) == 3
    assert (await calm_region.pages.figures("tenant_connect_connect_limits_open"))[()] >= 1
