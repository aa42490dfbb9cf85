"""Rows are promised from the first `ready` on: what is written before the first stream ever starts is heard too."""

from __future__ import annotations

from functools import partial

import pytest

from tests.integration.life.region import Region
from tests.integration.life.stage import READY, Stage, Tenant
from tests.integration.streaming.heard import Heard
from tests.integration.streaming.place import streamed, tenant_of
from tests.integration.streaming.test_stopped import OWN_NUMBER, STOPPED, has_no_point, waits_for
from tests.integration.streaming.writing import write
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.asyncio(loop_scope="session")]


async def _stops_without_a_gap(stage: Stage, tenant: Tenant) -> None:
    """Nothing was told between the last event that was looked at and the stop."""
    await stage.client.shutdown(tenant.name)
    await tenant.next(*STOPPED)


async def test_rows_that_are_written_before_the_first_stream_ever_are_heard_without_a_gap(
    stage: Stage, heard: Heard
) -> None:
    tenant = await tenant_of(stage)
    other = await tenant.server.superuser_connection()
    async with other.transaction():
        await other.fetchval(OWN_NUMBER)
        await stage.client.connect(tenant.name)
        await until(partial(waits_for, tenant, other))
        early = await write(tenant, 5)
    await other.close()
    await tenant.next(*READY, "occupancy.used", "replication.started")
    late = await write(tenant, 2)
    await heard.has(tenant.name, [*early, *late])
    assert set(heard.ids(tenant.name)) == {*early, *late}
    await _stops_without_a_gap(stage, tenant)


async def test_rows_that_are_written_right_after_the_answer_are_heard(stage: Stage, heard: Heard) -> None:
    tenant = await tenant_of(stage)
    await stage.client.connect(tenant.name)
    ids = await write(tenant, 50)
    await heard.has(tenant.name, ids)
    assert set(heard.ids(tenant.name)) == set(ids)


async def test_the_promise_outlives_a_stop_before_the_first_stream(stage: Stage, heard: Heard) -> None:
    tenant = await tenant_of(stage)
    other = await tenant.server.superuser_connection()
    async with other.transaction():
        await other.fetchval(OWN_NUMBER)
        await stage.client.connect(tenant.name)
        await until(partial(waits_for, tenant, other))
        early = await write(tenant, 3)
        await tenant.is_used(0)
        await tenant.next(*READY, "occupancy.used", "occupancy.idle", *STOPPED)
        meanwhile = await write(tenant, 3)
    await other.close()
    await tenant.is_used()
    await stage.client.connect(tenant.name, wait="streaming")
    await tenant.next(*READY, "occupancy.used", "replication.started")
    late = await write(tenant, 2)
    await heard.has(tenant.name, [*early, *meanwhile, *late])
    assert set(heard.ids(tenant.name)) == {*early, *meanwhile, *late}
    await _stops_without_a_gap(stage, tenant)


async def test_a_tenant_that_is_removed_and_put_again_begins_afresh(stage: Stage, heard: Heard, region: Region) -> None:
    tenant = await streamed(stage)
    await heard.has(tenant.name, await write(tenant, 3))
    await _stops_without_a_gap(stage, tenant)
    await tenant.remove()
    (told,) = await tenant.next("connect.stopped")
    assert told.data.reason == "removed"
    await until(partial(has_no_point, region, tenant))
    await tenant.put()
    await stage.client.connect(tenant.name, wait="streaming")
    await tenant.next(*READY, "occupancy.used", "replication.started")
    await _stops_without_a_gap(stage, tenant)
