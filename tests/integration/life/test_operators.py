"""Operators: what they hold, lift and hurry is on the log with their name, and any situation is explained."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from statemachine.errors import TenantPaused
from streams.tenantdb.naming import MIGRATION_LOCK_SPACE, lock_key
from streams.wire.event import event_id
from streams.wire.reply import WhyStatus
from tests.integration.life.stage import READY, Stage, Tenant, refused
from tests.integration.tenantdb.listener import listening, say_nothing

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.asyncio(loop_scope="session")]


async def _why(stage: Stage, tenant: Tenant) -> WhyStatus:
    return (await stage.client.status(tenant.name)).why


async def test_a_pause_says_who_and_why_until_it_is_lifted_by_somebody(calm: Stage) -> None:
    tenant = await calm.connected()
    await calm.client.pause(tenant.name, reason="we move the disk", author="ada")
    paused, _ = await tenant.next("connect.paused", "connect.stopped")
    assert (paused.data.reason, paused.data.author, paused.data.until) == ("we move the disk", "ada", None)
    refusal = await refused(calm.client.connect(tenant.name))
    assert isinstance(refusal, TenantPaused)
    assert str(refusal) == "paused by ada: we move the disk"
    await calm.client.resume(tenant.name, reason="it is moved", author="grace")
    (resumed,) = await tenant.next("connect.resumed")
    assert (resumed.data.reason, resumed.data.author) == ("it is moved", "grace")
    assert (await calm.client.connect(tenant.name)).lifecycle == "ready"


async def test_a_pause_with_an_end_names_it_to_who_is_refused_and_lifts_itself(calm: Stage) -> None:
    tenant = await calm.tenant()
    until_then = datetime.now(UTC) + timedelta(seconds=1)
    await calm.client.pause(tenant.name, author="ada", until=until_then)
    assert (await refused(calm.client.connect(tenant.name))).retry_at == until_then
    _, resumed = await tenant.next("connect.paused", "connect.resumed")
    assert (resumed.data.author, resumed.causation) == ("timer", "timer:pause")
    assert resumed.time >= until_then


async def test_a_retry_where_nothing_waits_is_no_event(calm: Stage) -> None:
    tenant = await calm.connected()
    assert (await calm.client.retry(tenant.name, reason="impatience", author="ada")).sequence == len(READY)


async def test_it_is_explained_why_a_tenant_is_not_ready_yet(calm: Stage) -> None:
    tenant = await calm.tenant()
    port = tenant.entry["database"]["port"]
    assert (await _why(calm, tenant)).code == "never_connected"
    async with listening(say_nothing) as silent:
        await tenant.put(database={"port": silent})
        await calm.client.connect(tenant.name, wait="no")
        assert (await _why(calm, tenant)).code == "checking"
    await tenant.next("connect.requested", "connect.stopped")
    why = await _why(calm, tenant)
    assert (why.code, why.next) == ("database_unavailable", "mend what the message names, then send `connect`")
    assert f":{silent}" in why.what
    await tenant.put(database={"port": port})
    runner = await tenant.administrator()
    await runner.execute("select pg_advisory_lock($1)", lock_key(MIGRATION_LOCK_SPACE, ""))
    await calm.client.connect(tenant.name, wait="no")
    _, checked = await tenant.next("connect.requested", "connect.checked")
    why = await _why(calm, tenant)
    assert (why.code, why.since_event) == ("provisioning", event_id(tenant.name, checked.sequence, checked.claim))
    await runner.close()
    await tenant.next("connect.provisioned")
    assert (await _why(calm, tenant)).code == "ready"


async def test_it_is_explained_why_a_tenant_that_is_ready_has_no_rows_streamed(calm: Stage) -> None:
    tenant = await calm.tenant(mode="durable")
    blocker = await tenant.administrator()
    writing = blocker.transaction()
    await writing.start()
    await blocker.fetchval("select pg_current_xact_id()")
    await calm.client.connect(tenant.name)
    assert (await _why(calm, tenant)).code == "starting"
    await writing.rollback()
    await blocker.close()
    await tenant.next(*READY, "replication.started")
    assert "its rows are streamed" in (await _why(calm, tenant)).what
    await tenant.sql(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and backend_type = 'walsender'",
        tenant.name,
    )
    (lost,) = await tenant.next("replication.lost")
    why = await _why(calm, tenant)
    assert (why.code, why.at) == ("replication_waiting", lost.data.next_attempt_at)
    assert "ReplicationConnectionDown" in why.what
    assert why.since_event == event_id(tenant.name, lost.sequence, lost.claim)
    await calm.client.retry(tenant.name, reason="no wish to wait", author="ada")
    await tenant.next("connect.retried", "replication.started")


async def test_it_is_explained_what_stopped_a_tenant_and_who_holds_it(calm: Stage) -> None:
    tenant = await calm.connected()
    await calm.client.shutdown(tenant.name)
    assert (await _why(calm, tenant)).code == "requested"
    await calm.client.pause(tenant.name, reason="hold", author="ada")
    *_, paused = await tenant.next("connect.stopping", "connect.stopped", "connect.paused")
    why = await _why(calm, tenant)
    assert (why.code, why.what, why.next) == ("paused", "paused by ada: hold", "send `resume` to lift the pause")
    assert why.since_event == event_id(tenant.name, paused.sequence, paused.claim)
    await calm.client.resume(tenant.name)
    assert (await _why(calm, tenant)).code == "requested"
    await calm.client.connect(tenant.name)
    await tenant.put(suspended=True)
    await tenant.reaches("connect.stopped")
    why = await _why(calm, tenant)
    assert (why.code, why.next) == ("suspended", "`tenants resume` lifts the suspension; then send `connect`")
    await tenant.put(suspended=False, database={"password": "wrong"})
    for _ in range(3):
        await refused(calm.client.connect(tenant.name))
    reached = await tenant.reaches("limit.reached")
    why = await _why(calm, tenant)
    assert (why.code, why.at) == ("connect_rate_limit_reached", reached.data.retry_at)
    assert why.since_event == event_id(tenant.name, reached.sequence, reached.claim)
