"""Rows written into the database of a local tenant, and what is said where that is not possible."""

from __future__ import annotations

import datetime as dt
import json
import uuid

import pytest

from streams.catalog.entry import Database
from streams.devstack.postgres import PostgresServer
from streams.devstack.process import free_port
from streams.devstack.rows import send_rows
from streams.devstack.tenant_database import Superuser, create_tenant_database
from streams.errors import InputInvalid, StackFailed
from streams.tenantdb.provision import provision
from streams.tenantdb.session import SessionLimits

pytestmark = [pytest.mark.postgres, pytest.mark.asyncio]


@pytest.fixture
def superuser(postgres: PostgresServer) -> Superuser:
    return Superuser(postgres.host, postgres.port, postgres.user, postgres.password)


@pytest.fixture
async def database(superuser: Superuser) -> Database:
    """A tenant's database that is there and was never connected."""
    return Database.model_validate(await create_tenant_database(superuser, f"t_{uuid.uuid4().hex[:8]}"))


async def test_a_row_is_written_as_an_application_writes_it(superuser: Superuser, database: Database) -> None:
    await provision(database, dt.datetime.now(dt.UTC).date(), SessionLimits())
    await send_rows(superuser, database.name, "room:1", "greeting", ['{"message": "a"}', '{"message": "b"}'])
    session = await superuser.connect(database.name)
    try:
        rows = await session.fetch("select topic, event, private, payload from realtime.messages order by inserted_at")
    finally:
        await session.close()
    assert [(row["topic"], row["event"], row["private"]) for row in rows] == [("room:1", "greeting", False)] * 2
    assert [json.loads(row["payload"])["message"] for row in rows] == ["a", "b"]


async def test_what_has_to_be_done_first_is_said(superuser: Superuser, database: Database) -> None:
    with pytest.raises(InputInvalid, match="`tenant-connect dev tenant nobody` makes it"):
        await send_rows(superuser, "nobody", "room:1", "greeting", ["{}"])
    with pytest.raises(InputInvalid, match=f"`tenant-connect connect {database.name}` migrates it"):
        await send_rows(superuser, database.name, "room:1", "greeting", ["{}"])


async def test_a_payload_that_is_no_json_is_refused_in_one_line(superuser: Superuser, database: Database) -> None:
    await provision(database, dt.datetime.now(dt.UTC).date(), SessionLimits())
    with pytest.raises(InputInvalid, match=r"^the payload is no JSON: .*$"):
        await send_rows(superuser, database.name, "room:1", "greeting", ["{nope"])


async def test_a_server_that_is_down_is_told_of(superuser: Superuser) -> None:
    down = Superuser(superuser.host, free_port(), superuser.user, superuser.password)
    with pytest.raises(StackFailed, match="PostgreSQL does not take a connection"):
        await send_rows(down, "t1", "room:1", "greeting", ["{}"])
