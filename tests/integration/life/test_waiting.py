"""Callers: they share one outcome, wait as long as they like, and start nothing by looking."""

from __future__ import annotations

import asyncio

import pytest

from statemachine.errors import Initializing, TenantDatabaseUnavailable
from streams.tenantdb.naming import MIGRATION_LOCK_SPACE, lock_key
from tests.integration.life.stage import READY, Stage, refused
from tests.integration.tenantdb.listener import listening

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.asyncio(loop_scope="session")]

CALLERS = 100
IMPATIENT_MS = 300


async def test_a_hundred_callers_of_a_tenant_share_one_connect(calm: Stage) -> None:
    tenant = await calm.tenant()
    statuses = await asyncio.gather(*(calm.client.connect(tenant.name) for _ in range(CALLERS)))
    assert {(status.lifecycle, status.sequence) for status in statuses} == {("ready", len(READY))}
    await tenant.next(*READY)
    assert len(await tenant.sessions()) == 2


async def test_a_hundred_callers_of_a_database_that_fails_share_one_refusal(calm: Stage) -> None:
    failing = asyncio.Event()

    async def serve(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await failing.wait()

    async with listening(serve) as port:
        tenant = await calm.tenant(port=port)
        callers = [asyncio.create_task(refused(calm.client.connect(tenant.name))) for _ in range(CALLERS)]
        await tenant.next("connect.requested")
        # It was sent last, to the same partition: once it is answered, all of them wait.
        assert (await calm.client.status(tenant.name)).lifecycle == "checking"
        failing.set()
        refusals = await asyncio.gather(*callers)
    (stopped,) = await tenant.next("connect.stopped")
    assert all(isinstance(refusal, TenantDatabaseUnavailable) for refusal in refusals)
    assert {str(refusal) for refusal in refusals} == {stopped.data.message}


async def test_a_caller_who_waits_no_longer_is_told_that_it_goes_on_and_it_does(calm: Stage) -> None:
    tenant = await calm.tenant()
    runner = await tenant.administrator()
    await runner.execute("select pg_advisory_lock($1)", lock_key(MIGRATION_LOCK_SPACE, ""))
    refusal = await refused(calm.client.connect(tenant.name, timeout_ms=IMPATIENT_MS))
    assert isinstance(refusal, Initializing)
    assert "migrations and partitions are being brought up to date" in str(refusal)
    await runner.close()
    await tenant.next(*READY)


async def test_a_caller_who_does_not_wait_is_answered_at_once(calm: Stage) -> None:
    tenant = await calm.tenant()
    status = await calm.client.connect(tenant.name, wait="no")
    assert (status.lifecycle, status.sequence) == ("checking", 1)
    await tenant.next(*READY)


async def test_who_waits_for_rows_is_answered_once_they_are_streamed_and_not_when_the_tenant_is_ready(
    calm: Stage,
) -> None:
    tenant = await calm.tenant(mode="durable")
    writer = await calm.administrator(tenant.server)
    async with writer.transaction():
        await writer.fetchval("select pg_current_xact_id()")
        assert (await calm.client.connect(tenant.name)).replication == "starting"
        hasty = await refused(calm.client.connect(tenant.name, wait="streaming", timeout_ms=IMPATIENT_MS))
        assert isinstance(hasty, Initializing)
        patient = asyncio.create_task(calm.client.connect(tenant.name, wait="streaming"))
        await tenant.next(*READY)
    assert (await patient).replication == "streaming"
    await tenant.next("replication.started")


async def test_who_waits_for_rows_that_are_not_to_be_streamed_is_answered_when_the_tenant_is_ready(
    calm: Stage,
) -> None:
    tenant = await calm.tenant()
    status = await calm.client.connect(tenant.name, wait="streaming")
    assert (status.lifecycle, status.replication) == ("ready", "off")


async def test_looking_at_a_tenant_starts_nothing(calm: Stage) -> None:
    tenant = await calm.tenant()
    for _ in range(3):
        status = await calm.client.status(tenant.name)
        assert (status.lifecycle, status.sequence, status.why.code) == ("absent", 0, "never_connected")
    await calm.client.pause(tenant.name)
    await tenant.next("connect.paused")
