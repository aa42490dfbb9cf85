from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import pytest

from streams.catalog.entry import Database
from streams.devstack.postgres import PostgresServer
from streams.devstack.process import free_port
from streams.tenantdb.failure import TenantDatabaseFailure
from streams.tenantdb.partitions import Partitions, days_around, partition_name
from streams.tenantdb.provision import provision
from streams.tenantdb.retention import DROPS_MAX, JANITOR, Dropped, drop_expired, housekeep
from streams.tenantdb.session import SessionLimits, short_session
from tests.integration.tenantdb import upstream
from tests.integration.tenantdb.conditions import eventually
from tests.integration.tenantdb.conftest import changed

pytestmark = pytest.mark.postgres

THREE_DAYS = dt.timedelta(hours=72)
TODAY = dt.date(2028, 3, 1)
NOON = dt.datetime(2028, 3, 1, 12, tzinfo=dt.UTC)


def days_ago(*counts: int) -> tuple[dt.date, ...]:
    return tuple(TODAY - dt.timedelta(days=count) for count in counts)


@pytest.fixture
async def kept(database: Database, limits: SessionLimits) -> Database:
    """A database as it was provisioned on `TODAY`."""
    await provision(database, TODAY, limits)
    return database


@pytest.fixture
async def keeper(kept: Database, postgres: PostgresServer) -> AsyncIterator[Any]:
    """A session of somebody who keeps the table busy."""
    session = await postgres.superuser_connection(kept.name)
    yield session
    await session.close()


async def attach(superuser: Any, name: str, first: dt.date, end: dt.date) -> None:
    await superuser.execute(
        f"create table {name} partition of realtime.messages for values from ('{first:%Y-%m-%d}') to ('{end:%Y-%m-%d}')"
    )


async def attach_days(superuser: Any, *days: dt.date) -> None:
    for day in days:
        await attach(superuser, f"realtime.{partition_name(day)}", day, day + dt.timedelta(days=1))


async def children(superuser: Any) -> list[str]:
    rows = await superuser.fetch(
        "select inhrelid::regclass::text as name from pg_inherits "
        "where inhparent = 'realtime.messages'::regclass order by name"
    )
    return [row["name"] for row in rows]


def names(*days: dt.date) -> list[str]:
    return sorted(f"realtime.{partition_name(day)}" for day in days)


async def dropped(database: Database, limits: SessionLimits, now: dt.datetime = NOON) -> Dropped:
    async with short_session(database, application_name="test", limits=limits) as session:
        return await drop_expired(session, database, now, THREE_DAYS, limits)


async def test_days_before_those_that_are_kept_are_dropped(
    kept: Database, superuser: Any, limits: SessionLimits
) -> None:
    await attach_days(superuser, *days_ago(400, 5, 4, 3, 2))
    assert await dropped(kept, limits) == Dropped(days=days_ago(400, 5, 4), failed=(), others=())
    assert await children(superuser) == names(*days_ago(3, 2), *days_around(TODAY))


@pytest.mark.parametrize(
    ("now", "expired"),
    [
        (dt.datetime(2028, 3, 1, tzinfo=dt.UTC), days_ago(4)),
        (dt.datetime(2028, 3, 1, 23, 59, 59, tzinfo=dt.UTC), days_ago(4)),
        (dt.datetime(2028, 3, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=2))), ()),
        (dt.datetime(2028, 3, 1, 23, tzinfo=dt.timezone(dt.timedelta(hours=-2))), days_ago(4, 3)),
    ],
)
async def test_a_day_is_a_day_in_utc(
    kept: Database, superuser: Any, limits: SessionLimits, now: dt.datetime, expired: tuple[dt.date, ...]
) -> None:
    await attach_days(superuser, *days_ago(4, 3))
    assert (await dropped(kept, limits, now)).days == expired


async def test_children_that_are_no_partition_of_the_day_in_their_name_are_left_alone_and_named(
    kept: Database, superuser: Any, limits: SessionLimits
) -> None:
    await superuser.execute("create schema archive")
    others = {
        "archive.messages_2020_01_01": (dt.date(2020, 1, 1), dt.date(2020, 1, 2)),
        "realtime.messages_2020_01_02": (dt.date(2040, 1, 2), dt.date(2040, 1, 3)),
        "realtime.messages_2020_02_30": (dt.date(2020, 2, 1), dt.date(2020, 2, 2)),
        "realtime.messages_2020_1_3": (dt.date(2020, 1, 3), dt.date(2020, 1, 4)),
        "realtime.messages_2020_01_04_old": (dt.date(2020, 1, 4), dt.date(2020, 1, 5)),
        "realtime.old_messages_2020_01_05": (dt.date(2020, 1, 5), dt.date(2020, 1, 6)),
    }
    for name, (first, end) in others.items():
        await attach(superuser, name, first, end)
    await superuser.execute("create table realtime.messages_default partition of realtime.messages default")
    await superuser.execute("create table realtime.messages_2020_01_06 ()")
    before = await children(superuser)
    assert await dropped(kept, limits) == Dropped((), (), (*sorted([*others, "realtime.messages_default"]),))
    assert await children(superuser) == before
    assert await superuser.fetchval("select to_regclass('realtime.messages_2020_01_06') is not null")


async def test_a_day_that_fails_stops_no_other(kept: Database, superuser: Any, limits: SessionLimits) -> None:
    await attach_days(superuser, *days_ago(6, 5, 4))
    await superuser.execute(f"create view public.kept as table realtime.{partition_name(days_ago(5)[0])}")
    result = await dropped(kept, limits)
    assert result.days == days_ago(6, 4)
    ((day, message),) = result.failed
    assert (day,) == days_ago(5)
    assert "2BP01" in message
    assert await children(superuser) == names(*days_ago(5), *days_around(TODAY))


async def test_whoever_writes_meanwhile_gets_through_and_the_day_is_dropped_the_next_time(
    kept: Database, superuser: Any, keeper: Any
) -> None:
    limits = SessionLimits(drop_lock_ms=1_500)
    await attach_days(superuser, *days_ago(4))
    async with keeper.transaction():
        await keeper.execute("select count(*) from realtime.messages")
        dropping = asyncio.create_task(dropped(kept, limits))
        await eventually(lambda: waits(superuser), "the dropping waits for the reader")
        assert not dropping.done()
        await superuser.execute(
            "insert into realtime.messages (topic, extension, inserted_at) values ('t', 'broadcast', $1)",
            NOON.replace(tzinfo=None),
        )
        result = await dropping
    assert result.days == ()
    ((day, message),) = result.failed
    assert (day,) == days_ago(4)
    assert "55P03" in message
    assert await superuser.fetchval("select count(*) from realtime.messages") == 1
    assert (await dropped(kept, limits)).days == days_ago(4)


async def waits(superuser: Any) -> bool:
    return bool(
        await superuser.fetchval(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        )
    )


async def test_a_role_that_may_not_drop_is_told_so(kept: Database, superuser: Any, limits: SessionLimits) -> None:
    await attach_days(superuser, *days_ago(4))
    role = f"stranger_{kept.name}"
    await superuser.execute(f"create role {role} login password 'a stranger'")
    await superuser.execute(f"grant usage on schema realtime to {role}")
    result = await dropped(changed(kept, user=role, password="a stranger"), limits)
    await superuser.execute(f"drop owned by {role}")
    await superuser.execute(f"drop role {role}")
    assert result.days == ()
    assert "42501" in result.failed[0][1]


async def test_no_more_than_a_bounded_number_is_dropped_at_a_time_and_the_oldest_first(
    kept: Database, superuser: Any, limits: SessionLimits
) -> None:
    left = 2
    expired = days_ago(*range(DROPS_MAX + left + 3, 3, -1))
    await attach_days(superuser, *expired)
    assert (await dropped(kept, limits)).days == expired[:-left]
    assert (await dropped(kept, limits)).days == expired[-left:]


async def test_dates_are_understood_in_whatever_style_the_database_writes_them(
    kept: Database, superuser: Any, limits: SessionLimits
) -> None:
    await attach_days(superuser, *days_ago(4))
    await superuser.execute(f"alter database {kept.name} set datestyle = 'SQL, DMY'")
    assert (await dropped(kept, limits)).days == days_ago(4)


async def test_days_of_the_platform_are_dropped_too(database: Database, superuser: Any, limits: SessionLimits) -> None:
    await upstream.build(superuser)
    await attach_days(superuser, *days_ago(4))
    # An early form of the platform made partitions that began in the middle of a day.
    await superuser.execute(
        "create table realtime.messages_2024_12_01 partition of realtime.messages "
        "for values from ('2024-12-01 13:45:06.789') to ('2024-12-02')"
    )
    assert (await dropped(database, limits)).days == (dt.date(2024, 12, 1), *days_ago(4))


async def test_housekeeping_makes_the_days_to_come_and_drops_the_expired_ones(
    kept: Database, superuser: Any, limits: SessionLimits
) -> None:
    week_later = NOON + dt.timedelta(days=7)
    result = await housekeep(kept, week_later, limits, THREE_DAYS)
    coming = days_around(week_later.date())
    assert result.partitions == Partitions(made=coming, failed=())
    gone = [day for day in days_around(TODAY) if day < (week_later - THREE_DAYS).date()]
    assert result.dropped == Dropped(days=tuple(gone), failed=(), others=())
    assert await children(superuser) == names(*coming)


async def test_housekeeping_is_done_on_a_session_that_is_named_for_it(
    kept: Database, superuser: Any, keeper: Any, limits: SessionLimits
) -> None:
    async with keeper.transaction():
        await keeper.execute("lock table realtime.messages in share update exclusive mode")
        keeping = asyncio.create_task(housekeep(kept, NOON + dt.timedelta(days=1), limits, THREE_DAYS))
        await eventually(lambda: waits(superuser), "housekeeping waits")
        sessions = await superuser.fetch(
            "select application_name from pg_stat_activity "
            "where datname = current_database() and wait_event_type = 'Lock'"
        )
    assert [row["application_name"] for row in sessions] == [JANITOR]
    assert (await keeping).partitions.failed == ()


async def test_housekeeping_of_a_database_without_messages_says_what_is_missing(
    database: Database, limits: SessionLimits
) -> None:
    result = await housekeep(database, NOON, limits, THREE_DAYS)
    assert [day for day, _message in result.partitions.failed] == list(days_around(TODAY))
    assert result.dropped == Dropped((), (), ())


async def test_housekeeping_where_nobody_answers_is_a_failure(database: Database, limits: SessionLimits) -> None:
    with pytest.raises(TenantDatabaseFailure):
        await housekeep(changed(database, port=free_port()), NOON, limits, THREE_DAYS)
