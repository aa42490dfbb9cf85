"""The days of a tenant's messages: made ahead, dropped when they have expired, and missed when they cannot be made."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import partial

import pytest

from streams.tenantdb.partitions import days_around, partition_name
from tests.integration.life.region import Region
from tests.integration.life.stage import READY, Stage, Tenant
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.asyncio(loop_scope="session")]

PARTITIONS = (
    "select relname from pg_class join pg_inherits on inhrelid = oid where inhparent = 'realtime.messages'::regclass"
)


def _today() -> date:
    return datetime.now(UTC).date()


async def _days(tenant: Tenant) -> list[str]:
    return sorted(row["relname"] for row in await tenant.in_database(PARTITIONS))


async def _has_all_days(tenant: Tenant) -> bool:
    return await _days(tenant) == [partition_name(day) for day in days_around(_today())]


async def _add(tenant: Tenant, day: date) -> None:
    following = day + timedelta(days=1)
    await tenant.in_database(
        f"create table realtime.{partition_name(day)} partition of realtime.messages "
        f"for values from ('{day}') to ('{following}')"
    )
    await tenant.in_database(f'alter table realtime.{partition_name(day)} owner to "{tenant.role}"')


async def test_missing_days_of_a_connected_tenant_are_made_and_expired_ones_dropped(hasty: Stage) -> None:
    tenant = await hasty.used()
    await tenant.in_database(f"drop table realtime.{partition_name(_today() + timedelta(days=3))}")
    await _add(tenant, _today() - timedelta(days=4))
    await until(lambda: _has_all_days(tenant))


async def test_days_within_the_retention_are_kept(hasty: Stage) -> None:
    tenant = await hasty.used()
    kept = _today() - timedelta(days=3)
    await _add(tenant, kept)
    # Two rounds: each drops what has expired.
    for days in (5, 6):
        expired = _today() - timedelta(days=days)
        await _add(tenant, expired)
        await until(partial(_is_gone, tenant, expired))
    assert await _days(tenant) == [partition_name(day) for day in (kept, *days_around(_today()))]


async def test_tables_that_no_retention_drops_are_named_in_the_log(hasty: Stage, hasty_region: Region) -> None:
    tenant = await hasty.used()
    await tenant.in_database(
        "create table realtime.archive partition of realtime.messages for values from ('2001-01-01') to ('2002-01-01')"
    )
    await until(lambda: bool(hasty_region.logged("retention.others_left", tenant.name)))
    told = hasty_region.logged("retention.others_left", tenant.name)[0]
    assert (told["number"], told["first"]) == (1, ["realtime.archive"])


async def test_days_of_a_tenant_that_was_connected_since_the_round_before_are_looked_after(hasty: Stage) -> None:
    tenant = await hasty.tenant()
    await hasty.client.connect(tenant.name)
    await hasty.client.pause(tenant.name)
    await tenant.next(*READY, "connect.paused", "connect.stopped")
    await _add(tenant, _today() - timedelta(days=4))
    await hasty.client.resume(tenant.name)
    await until(lambda: _has_all_days(tenant))
    await tenant.next("connect.resumed")


async def test_a_day_that_cannot_be_made_is_told_shows_in_health_and_is_made_once_it_can_be(
    hasty: Stage, hasty_region: Region
) -> None:
    tenant = await hasty.used()
    day = _today() + timedelta(days=2)
    stranger = partition_name(day)
    await tenant.in_database(f"do 'begin drop table realtime.{stranger}; create table realtime.{stranger} (); end'")
    (failed,) = await tenant.next("partitions.failed")
    assert failed.data.day == day.isoformat()
    assert "is no partition of realtime.messages" in failed.data.message
    found = await hasty.client.check_health(tenant.name)
    assert (found.healthy, found.db_connected, found.partitions_failed) == (False, True, (day.isoformat(),))
    assert (await hasty.client.status(tenant.name)).why.code == "partitions_failed"
    assert (await hasty_region.pages.figures("tenant_connect_tenants_without_day"))[()] >= 1
    await tenant.in_database(f"alter table realtime.{stranger} rename to stranger")
    (restored,) = await tenant.next("partitions.restored")
    assert restored.data.day == day.isoformat()
    assert (await hasty.client.check_health(tenant.name)).healthy


async def test_a_day_that_cannot_be_made_while_connecting_leaves_the_tenant_ready_and_is_retried(calm: Stage) -> None:
    tenant = await calm.tenant()
    day = _today() + timedelta(days=1)
    await tenant.in_database(f'create schema realtime authorization "{tenant.role}"')
    await tenant.in_database(f"create table realtime.{partition_name(day)} ()")
    assert (await calm.client.connect(tenant.name)).lifecycle == "ready"
    *_, failed = await tenant.next(*READY, "partitions.failed")
    assert failed.data.day == day.isoformat()
    await tenant.in_database(f"drop table realtime.{partition_name(day)}")
    # A round of housekeeping comes in hours.
    (restored,) = await tenant.next("partitions.restored")
    assert restored.data.day == day.isoformat()
    assert await _has_all_days(tenant)


async def _is_gone(tenant: Tenant, day: date) -> bool:
    return partition_name(day) not in await _days(tenant)
