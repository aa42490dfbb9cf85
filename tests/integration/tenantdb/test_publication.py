from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from streams.catalog.entry import Database
from streams.tenantdb.failure import TenantDatabaseFailure
from streams.tenantdb.naming import PUBLICATION
from streams.tenantdb.publication import Publication, ensure_publication
from tests.integration.tenantdb.conftest import changed

pytestmark = pytest.mark.postgres

TIMEOUT_MS = 10_000


async def ensure(database: Database, session: Any) -> Publication:
    return await ensure_publication(session, database, TIMEOUT_MS)


async def members(session: Any) -> list[str]:
    rows = await session.fetch(
        "select prrelid::regclass::text as name from pg_publication_rel join pg_publication p on p.oid = prpubid "
        "where pubname = $1",
        PUBLICATION,
    )
    return [row["name"] for row in rows]


async def test_a_missing_publication_is_made_for_the_messages(provisioned: Database, superuser: Any) -> None:
    assert await ensure(provisioned, superuser) is Publication.CREATED
    assert await members(superuser) == ["realtime.messages"]


async def test_a_publication_of_the_messages_is_kept(provisioned: Database, superuser: Any) -> None:
    await ensure(provisioned, superuser)
    made = await superuser.fetchval("select oid from pg_publication where pubname = $1", PUBLICATION)
    assert await ensure(provisioned, superuser) is Publication.KEPT
    assert await superuser.fetchval("select oid from pg_publication where pubname = $1", PUBLICATION) == made


async def test_a_publication_is_kept_when_days_are_added(provisioned: Database, superuser: Any) -> None:
    await ensure(provisioned, superuser)
    await superuser.execute(
        "create table realtime.messages_1999_01_01 partition of realtime.messages "
        "for values from ('1999-01-01') to ('1999-01-02')"
    )
    assert await ensure(provisioned, superuser) is Publication.KEPT


@pytest.mark.parametrize(
    "covered",
    [
        "",
        "for all tables",
        "for tables in schema realtime",
        "for table public.other",
        "for table realtime.messages, public.other",
        "for table realtime.messages, tables in schema public",
        "for table realtime.messages where (private) with (publish_via_partition_root = true)",
        "for table realtime.messages (id, inserted_at) with (publish_via_partition_root = true)",
        "for table realtime.messages with (publish = 'update, delete')",
        "for table realtime.messages_1999_01_01",
    ],
)
async def test_a_publication_of_anything_else_is_made_again(
    provisioned: Database, superuser: Any, covered: str
) -> None:
    await superuser.execute("create table public.other (id int primary key)")
    await superuser.execute(
        "create table realtime.messages_1999_01_01 partition of realtime.messages "
        "for values from ('1999-01-01') to ('1999-01-02')"
    )
    await superuser.execute(f"create publication {PUBLICATION} {covered}")
    assert await ensure(provisioned, superuser) is Publication.RECREATED
    assert await members(superuser) == ["realtime.messages"]
    assert await ensure(provisioned, superuser) is Publication.KEPT


async def test_a_publication_that_may_not_be_touched_is_an_error(provisioned: Database, superuser: Any) -> None:
    role = f"stranger_{provisioned.name}"
    await superuser.execute(f"create publication {PUBLICATION}")
    await superuser.execute(f"create role {role} login password 'secret'")
    stranger = changed(provisioned, user=role, password="secret")
    session = await asyncpg.connect(
        host=stranger.host, port=stranger.port, user=role, password="secret", database=stranger.name
    )
    with pytest.raises(TenantDatabaseFailure, match=PUBLICATION) as caught:
        await ensure(stranger, session)
    assert caught.value.sqlstate == "42501"
    assert await members(superuser) == []
    await session.close()
    await superuser.execute(f"drop role {role}")
