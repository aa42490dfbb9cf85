from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from streams.catalog.entry import Database
from streams.tenantdb.backfill import Batch, Reading, reading
from streams.tenantdb.failure import TenantDatabaseFailure
from tests.integration.tenantdb.conftest import changed

pytestmark = pytest.mark.postgres

TIMEOUT_MS = 10_000
BATCH = Batch(rows=10, bytes=1_000_000)
FAR_FUTURE = dt.datetime(2999, 1, 1, tzinfo=dt.UTC)

INSERT = "insert into realtime.messages (topic, extension, event, payload) values ($1, 'broadcast', 'e', '{}')"
INSERT_AT = """
insert into realtime.messages (topic, extension, event, payload, inserted_at) values ($1, 'broadcast', 'e', '{}', $2)
"""


async def connected(database: Database) -> Any:
    return await asyncpg.connect(
        host=database.host,
        port=database.port,
        user=database.user,
        password=database.password.get_secret_value(),
        database=database.name,
    )


@pytest.fixture
async def writer(provisioned: Database) -> AsyncIterator[Any]:
    session = await connected(provisioned)
    yield session
    await session.close()


@asynccontextmanager
async def snapshot(database: Database) -> AsyncIterator[Reading]:
    """Read under a snapshot of now."""
    exporting, importing = await connected(database), await connected(database)
    try:
        async with exporting.transaction(isolation="repeatable_read"):
            name = await exporting.fetchval("select pg_export_snapshot()")
            async with reading(importing, database, name, TIMEOUT_MS) as under:
                yield under
    finally:
        await importing.close()
        await exporting.close()


async def point(session: Any) -> int:
    return int(await session.fetchval("select pg_snapshot_xmin(pg_current_snapshot())::text::bigint"))


async def topics_since(database: Database, xmin: int, at: dt.datetime = FAR_FUTURE, batch: Batch = BATCH) -> list[str]:
    async with snapshot(database) as under:
        return [row["topic"] async for rows in under.since_transaction(xmin, at, batch) for row in rows]


async def test_rows_of_transactions_from_the_point_on_are_read(provisioned: Database, writer: Any) -> None:
    await writer.execute(INSERT, "before")
    xmin = await point(writer)
    await writer.execute(INSERT, "after")
    assert await topics_since(provisioned, xmin) == ["after"]


async def test_a_transaction_that_was_open_at_the_point_is_read_with_its_savepoints(
    provisioned: Database, writer: Any, superuser: Any
) -> None:
    async with writer.transaction():
        await writer.execute(INSERT, "first")
        async with writer.transaction():
            await writer.execute(INSERT, "in a savepoint")
        xmin = await point(superuser)
        await superuser.execute(INSERT, "meanwhile")
    assert set(await topics_since(provisioned, xmin)) == {"first", "in a savepoint", "meanwhile"}


async def test_a_row_that_was_rolled_back_is_not_read(provisioned: Database, writer: Any) -> None:
    xmin = await point(writer)
    transaction = writer.transaction()
    await transaction.start()
    await writer.execute(INSERT, "never")
    await transaction.rollback()
    assert await topics_since(provisioned, xmin) == []


async def test_a_row_committed_after_the_snapshot_is_left_to_the_stream(provisioned: Database, writer: Any) -> None:
    xmin = await point(writer)
    async with snapshot(provisioned) as under:
        await writer.execute(INSERT, "later")
        assert [row async for rows in under.since_transaction(xmin, FAR_FUTURE, BATCH) for row in rows] == []


async def test_frozen_rows_are_read_too(provisioned: Database, writer: Any) -> None:
    await writer.execute(INSERT, "before")
    xmin = await point(writer)
    await writer.execute(INSERT, "after")
    await writer.execute("vacuum freeze realtime.messages")
    assert await topics_since(provisioned, xmin) == ["after"]


async def test_rows_come_in_batches_in_the_order_of_their_times(provisioned: Database, writer: Any) -> None:
    xmin = await point(writer)
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    for number in (3, 1, 4, 0, 2):
        await writer.execute(INSERT_AT, str(number), now + dt.timedelta(milliseconds=number))
    async with snapshot(provisioned) as under:
        batches = [rows async for rows in under.since_transaction(xmin, FAR_FUTURE, Batch(rows=2, bytes=1_000))]
    assert [len(rows) for rows in batches] == [2, 2, 1]
    assert [row["topic"] for rows in batches for row in rows] == ["0", "1", "2", "3", "4"]


async def test_large_rows_come_in_small_batches(provisioned: Database, writer: Any) -> None:
    xmin = await point(writer)
    payload = '"' + "x" * 10_000 + '"'
    for _ in range(40):
        await writer.execute(INSERT.replace("'{}'", f"'{payload}'"), "t")
    async with snapshot(provisioned) as under:
        batches = [rows async for rows in under.since_transaction(xmin, FAR_FUTURE, Batch(rows=100, bytes=35_000))]
    assert [len(rows) for rows in batches] == [16, 3, 3, 3, 3, 3, 3, 3, 3]


async def test_rows_can_be_read_by_their_time(provisioned: Database, writer: Any) -> None:
    now = dt.datetime.now(dt.UTC)
    await writer.execute(INSERT_AT, "before", (now - dt.timedelta(minutes=1)).replace(tzinfo=None))
    await writer.execute(INSERT_AT, "after", now.replace(tzinfo=None))
    async with snapshot(provisioned) as under:
        assert [row["topic"] async for rows in under.since_time(now, BATCH) for row in rows] == ["after"]


async def test_an_earlier_transaction_with_a_later_time_is_unexpected(provisioned: Database, writer: Any) -> None:
    at = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=5)
    await writer.execute(INSERT, "of another history")
    xmin = await point(writer)
    await writer.execute(INSERT, "after")
    async with snapshot(provisioned) as under:
        found = [
            (row["topic"], row["unexpected"]) async for rows in under.since_transaction(xmin, at, BATCH) for row in rows
        ]
    assert found == [("of another history", True), ("after", False)]


async def test_a_limit_on_time_of_the_role_does_not_end_a_long_reading(provisioned: Database, writer: Any) -> None:
    for name in ("statement_timeout", "idle_in_transaction_session_timeout", "transaction_timeout"):
        await writer.execute(f"alter database {provisioned.name} set {name} = '20s'")
    importing = await connected(provisioned)
    async with writer.transaction(isolation="repeatable_read"):
        name = await writer.fetchval("select pg_export_snapshot()")
        async with reading(importing, provisioned, name, TIMEOUT_MS):
            assert await importing.fetchval("show statement_timeout") == "0"
            assert await importing.fetchval("show transaction_timeout") == "0"
            assert await importing.fetchval("show idle_in_transaction_session_timeout") == "0"
    assert await importing.fetchval("show statement_timeout") == "20s"
    await importing.close()


async def test_the_facts_of_a_snapshot_are_those_of_the_snapshot(provisioned: Database, writer: Any) -> None:
    async with snapshot(provisioned) as under:
        for _ in range(3):
            await writer.execute(INSERT, "later")
        assert under.facts.xmin <= under.facts.next_xid < await point(writer)
        assert abs(under.facts.at - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)


async def test_rows_that_a_policy_would_hide_are_an_error(provisioned: Database, writer: Any, superuser: Any) -> None:
    role = f"reader_{provisioned.name}"
    await writer.execute(INSERT, "hidden")
    await superuser.execute(f"create role {role} login password 'secret'")
    await superuser.execute(f"grant usage on schema realtime to {role}; grant select on realtime.messages to {role}")
    with pytest.raises(TenantDatabaseFailure, match="row-level security"):
        async with snapshot(changed(provisioned, user=role, password="secret")) as under:
            _ = [rows async for rows in under.since_transaction(1, FAR_FUTURE, BATCH)]
    await superuser.execute(f"drop owned by {role}; drop role {role}")


async def test_a_row_that_cannot_be_read_is_an_error(provisioned: Database, writer: Any) -> None:
    await writer.execute(
        "create table realtime.messages_bc partition of realtime.messages "
        "for values from ('4000-01-01 BC') to ('2000-01-01 BC')"
    )
    await writer.execute(
        INSERT.replace("payload)", "payload, inserted_at)").replace("'{}')", "'{}', '3000-01-01 BC')"), "t"
    )
    with pytest.raises(TenantDatabaseFailure, match="cannot be read"):
        async with snapshot(provisioned) as under:
            _ = [rows async for rows in under.since_transaction(1, FAR_FUTURE, BATCH)]
