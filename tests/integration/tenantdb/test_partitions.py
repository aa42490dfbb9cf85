from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from streams.catalog.entry import Database
from streams.tenantdb.naming import MIGRATIONS
from streams.tenantdb.partitions import Partitions, days_around, make_partitions, partition_name
from streams.tenantdb.provision import provision
from streams.tenantdb.session import SessionLimits, short_session
from tests.integration.tenantdb import upstream
from tests.integration.tenantdb.conftest import changed

pytestmark = pytest.mark.postgres

FEBRUARY = dt.date(2028, 2, 28)


async def made(database: Database, limits: SessionLimits, today: dt.date) -> Partitions:
    async with short_session(database, application_name=MIGRATIONS, limits=limits) as session:
        return await make_partitions(session, database, today, limits)


async def bounds(superuser: Any, day: dt.date) -> str | None:
    bound = await superuser.fetchval(
        "select pg_get_expr(relpartbound, oid) from pg_class where oid = to_regclass($1)",
        f"realtime.{partition_name(day)}",
    )
    return None if bound is None else str(bound)


async def test_every_day_from_yesterday_to_three_days_ahead_has_a_partition(
    provisioned: Database, superuser: Any, limits: SessionLimits
) -> None:
    partitions = await made(provisioned, limits, FEBRUARY)
    assert partitions == Partitions(made=days_around(FEBRUARY), failed=())
    assert await bounds(superuser, dt.date(2028, 2, 29)) == (
        "FOR VALUES FROM ('2028-02-29 00:00:00') TO ('2028-03-01 00:00:00')"
    )
    owners = await superuser.fetch(
        "select distinct relowner::regrole::text as owner from pg_class where oid in "
        "(select inhrelid from pg_inherits where inhparent = 'realtime.messages'::regclass)"
    )
    assert [row["owner"] for row in owners] == ["supabase_realtime_admin"]


async def test_partitions_that_are_there_count_as_made(provisioned: Database, limits: SessionLimits) -> None:
    assert await made(provisioned, limits, FEBRUARY) == await made(provisioned, limits, FEBRUARY)


async def test_a_day_that_fails_does_not_stop_the_others(
    provisioned: Database, superuser: Any, limits: SessionLimits
) -> None:
    await superuser.execute(
        "create table realtime.in_the_way partition of realtime.messages "
        "for values from ('2028-02-28 06:00') to ('2028-02-28 07:00')"
    )
    partitions = await made(provisioned, limits, FEBRUARY)
    assert partitions.made == tuple(day for day in days_around(FEBRUARY) if day != FEBRUARY)
    ((day, message),) = partitions.failed
    assert day == FEBRUARY
    assert "42P17" in message
    assert await bounds(superuser, FEBRUARY) is None


async def test_a_table_of_the_name_that_is_no_partition_is_a_failed_day(
    provisioned: Database, superuser: Any, limits: SessionLimits
) -> None:
    await superuser.execute(f"create table realtime.{partition_name(FEBRUARY)} ()")
    partitions = await made(provisioned, limits, FEBRUARY)
    assert [day for day, _message in partitions.failed] == [FEBRUARY]
    assert "no partition of realtime.messages" in partitions.failed[0][1]


async def test_days_that_have_to_wait_too_long_for_a_lock_are_failed_and_made_the_next_time(
    provisioned: Database, superuser: Any
) -> None:
    limits = SessionLimits(partition_lock_ms=50)
    there = dt.timedelta(days=2)
    await made(provisioned, limits, FEBRUARY - there)
    async with superuser.transaction():
        await superuser.execute("lock table realtime.messages in share update exclusive mode")
        partitions = await made(provisioned, limits, FEBRUARY)
    missing = days_around(FEBRUARY)[-there.days :]
    assert partitions.made == days_around(FEBRUARY)[: -there.days]
    assert [day for day, _message in partitions.failed] == list(missing)
    assert all("55P03" in message for _day, message in partitions.failed)
    assert await made(provisioned, limits, FEBRUARY) == Partitions(made=days_around(FEBRUARY), failed=())


async def test_days_that_the_role_may_not_make_are_failed_with_the_servers_words(
    provisioned: Database, superuser: Any, limits: SessionLimits
) -> None:
    role = f"stranger_{provisioned.name}"
    await superuser.execute(f"create role {role} login password 'a stranger'")
    await superuser.execute(f"grant usage, create on schema realtime to {role}")
    partitions = await made(changed(provisioned, user=role, password="a stranger"), limits, FEBRUARY)
    await superuser.execute(f"drop owned by {role}")
    await superuser.execute(f"drop role {role}")
    assert partitions.made == ()
    assert [day for day, _message in partitions.failed] == list(days_around(FEBRUARY))
    assert all("42501" in message for _day, message in partitions.failed)


async def test_a_session_that_ends_fails_the_days_that_are_left(
    provisioned: Database, superuser: Any, limits: SessionLimits
) -> None:
    async with short_session(provisioned, application_name=MIGRATIONS, limits=limits) as session:
        await superuser.execute(f"select pg_terminate_backend({session.get_server_pid()})")
        partitions = await make_partitions(session, provisioned, FEBRUARY, limits)
    assert [day for day, _message in partitions.failed] == list(days_around(FEBRUARY))


async def test_making_partitions_does_not_wait_for_writers(
    provisioned: Database, superuser: Any, limits: SessionLimits
) -> None:
    async with superuser.transaction():
        await superuser.execute("select realtime.send('{}', 'e', 't')")
        partitions = await made(provisioned, limits, FEBRUARY)
    assert partitions.failed == ()


async def test_partitions_are_made_on_a_table_of_the_platform(
    database: Database, superuser: Any, limits: SessionLimits, today: dt.date
) -> None:
    await upstream.build(superuser)
    provisioned = await provision(database, today, limits)
    assert provisioned.partitions == days_around(today)
    await superuser.execute("insert into realtime.messages (topic, extension) values ('t', 'broadcast')")
    assert await superuser.fetchval("select count(*) from realtime.messages") == 1
