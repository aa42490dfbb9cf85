from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from streams.catalog.entry import Database
from streams.devstack.postgres import PostgresServer
from streams.replication.failure import ReplicationCode, ReplicationFailure
from streams.replication.session import ReplicationSession
from streams.tenantdb.naming import PUBLICATION
from streams.tenantdb.publication import ensure_publication
from tests.integration.replication.place import entry, server
from tests.integration.tenantdb.conditions import eventually
from tests.integration.tenantdb.conftest import changed
from tests.integration.tenantdb.listener import listening, say_nothing

pytestmark = pytest.mark.postgres

NAME = "realtime_replication_connection:7"
SLOT = "slot_of_a_test"


@asynccontextmanager
async def session_of(
    database: Database, *, connect_ms: int = 5_000, setup_ms: int = 20_000
) -> AsyncIterator[ReplicationSession]:
    session = await ReplicationSession.open(database, application_name=NAME, connect_ms=connect_ms, setup_ms=setup_ms)
    try:
        yield session
    finally:
        session.close()


async def refusal(database: Database, **bounds: int) -> ReplicationFailure:
    with pytest.raises(ReplicationFailure) as caught:
        async with session_of(database, **bounds):
            pass
    return caught.value


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server with room for two WAL senders and one slot."""
    settings = {"max_wal_senders": "2", "max_replication_slots": "1"}
    with server(tmp_path_factory.mktemp("narrow"), settings) as made:
        yield made


async def test_a_session_shows_its_claim_and_knows_its_backend(database: Database, superuser: Any) -> None:
    async with session_of(database) as session:
        row = await superuser.fetchrow(
            "select datname, application_name, backend_type from pg_stat_activity where pid = $1", session.backend_pid
        )
    assert tuple(row) == (database.name, NAME, "walsender")


async def test_a_session_identifies_the_server(database: Database, superuser: Any) -> None:
    async with session_of(database) as session:
        system = await session.identify()
        assert await session.setting("wal_level") == "logical"
        assert await session.timeline_history(1) == ""
    identifier = await superuser.fetchval("select system_identifier::text from pg_control_system()")
    assert (system.identifier, system.timeline) == (identifier, 1)
    assert system.flushed > 0


async def test_a_started_session_reads_what_is_committed(provisioned: Database, superuser: Any) -> None:
    await ensure_publication(superuser, provisioned, 10_000)
    async with session_of(provisioned) as session:
        made = await session.make_slot(SLOT)
        await session.start(made.name, PUBLICATION)
        await superuser.execute("insert into realtime.messages (topic, extension) values ('t', 'broadcast')")
        kinds = ""
        async with asyncio.timeout(20):
            while not kinds.endswith("C"):
                message = session.read()
                if message is None:
                    await asyncio.sleep(0.01)
                else:
                    kinds += message.payload[:1].decode()
        assert kinds == "BRIC"
        assert session.server_lsn > made.consistent_point


async def test_closing_ends_the_backend_and_the_slot(database: Database, superuser: Any) -> None:
    async with session_of(database) as session:
        await session.make_slot(SLOT)
        assert await superuser.fetchval("select count(*) from pg_replication_slots where slot_name = $1", SLOT) == 1

    async def gone() -> bool:
        left = await superuser.fetchval(
            "select count(*) from pg_stat_activity where pid = $1", session.backend_pid
        ) + await superuser.fetchval("select count(*) from pg_replication_slots where slot_name = $1", SLOT)
        return bool(left == 0)

    await eventually(gone, "backend and slot are gone")


async def test_a_host_is_tried_by_ipv4_where_ipv6_is_refused(database: Database) -> None:
    async with session_of(changed(database, host="localhost")) as session:
        assert await session.setting("server_version")


async def test_a_refused_connection_is_a_timeout_and_says_where(database: Database) -> None:
    async with listening(say_nothing) as port:
        pass
    failure = await refusal(changed(database, host="localhost", port=port))
    assert failure.code == ReplicationCode.CONNECTION_TIMEOUT
    assert "127.0.0.1" in str(failure)
    assert "refused" in str(failure)


async def test_a_server_that_says_nothing_is_given_up(database: Database) -> None:
    async with listening(say_nothing) as port:
        failure = await refusal(changed(database, port=port), connect_ms=300)
    assert failure.code == ReplicationCode.CONNECTION_TIMEOUT
    assert "no answer in time" in str(failure)


async def test_a_name_without_an_address_is_a_timeout(database: Database) -> None:
    failure = await refusal(changed(database, host="no.such.host.invalid"))
    assert failure.code == ReplicationCode.CONNECTION_TIMEOUT


async def test_a_wrong_password_is_refused_and_not_repeated(database: Database) -> None:
    failure = await refusal(changed(database, password="not the password"))
    assert failure.code == ReplicationCode.CONNECTION_TIMEOUT
    assert "password authentication failed" in str(failure)
    assert "not the password" not in str(failure)


async def test_the_last_wal_sender_taken_is_told_apart(narrow: PostgresServer) -> None:
    database = entry(narrow, "postgres")
    async with session_of(database), session_of(database):
        failure = await refusal(database)
    assert failure.code == ReplicationCode.MAX_WAL_SENDERS


async def test_the_last_slot_taken_is_told_apart(narrow: PostgresServer) -> None:
    database = entry(narrow, "postgres")
    async with session_of(database) as first, session_of(database) as second:
        await first.make_slot("one")
        with pytest.raises(ReplicationFailure) as caught:
            await second.make_slot("two")
    assert caught.value.code == ReplicationCode.MAX_WAL_SENDERS


async def test_a_slot_that_exists_is_in_use(database: Database) -> None:
    async with session_of(database) as first, session_of(database) as second:
        await first.make_slot(SLOT)
        with pytest.raises(ReplicationFailure) as caught:
            await second.make_slot(SLOT)
    assert caught.value.code == ReplicationCode.SLOT_IN_USE


async def test_a_slot_that_waits_too_long_for_a_transaction_is_given_up(database: Database, superuser: Any) -> None:
    async with superuser.transaction():
        await superuser.fetchval("select pg_current_xact_id()")
        async with session_of(database, setup_ms=300) as session:
            with pytest.raises(ReplicationFailure) as caught:
                await session.make_slot(SLOT)
    assert caught.value.code == ReplicationCode.CONNECTION_TIMEOUT


async def test_a_server_that_does_not_log_for_replication_is_named(tmp_path: Path) -> None:
    with server(tmp_path / "server", {"wal_level": "replica"}) as made:
        async with session_of(entry(made, "postgres")) as session:
            with pytest.raises(ReplicationFailure, match="wal_level") as caught:
                await session.make_slot(SLOT)
    assert caught.value.code == ReplicationCode.START_FAILED


async def test_a_cancelled_opening_leaves_nothing(database: Database, superuser: Any) -> None:
    for steps in range(0, 24, 2):
        opening = asyncio.create_task(
            ReplicationSession.open(database, application_name=NAME, connect_ms=5_000, setup_ms=5_000)
        )
        for _ in range(steps):
            await asyncio.sleep(0.0005)
        opening.cancel()
        outcome = (await asyncio.gather(opening, return_exceptions=True))[0]
        if isinstance(outcome, ReplicationSession):
            outcome.close()

    async def gone() -> bool:
        count = await superuser.fetchval("select count(*) from pg_stat_activity where application_name = $1", NAME)
        return bool(count == 0)

    await eventually(gone, "no backend is left")
