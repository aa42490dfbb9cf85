from __future__ import annotations

import os
import signal
from pathlib import Path

import asyncpg
import pytest

from streams.catalog.entry import Database
from streams.devstack.postgres import PostgresServer
from streams.devstack.process import free_port
from streams.tenantdb.failure import Reason, TenantDatabaseFailure
from streams.tenantdb.session import SessionLimits, open_session, short_session
from tests.integration.tenantdb.conditions import eventually
from tests.integration.tenantdb.conftest import changed, entry_of
from tests.integration.tenantdb.listener import listening, pooler_in_front_of, say_nothing

pytestmark = pytest.mark.postgres


async def refusal(database: Database, limits: SessionLimits) -> TenantDatabaseFailure:
    with pytest.raises(TenantDatabaseFailure) as caught:
        await open_session(database, application_name="test", limits=limits)
    assert database.password.get_secret_value() not in str(caught.value)
    return caught.value


async def test_a_session_carries_its_name_and_its_bounds(database: Database, limits: SessionLimits) -> None:
    async with short_session(database, application_name="realtime_connect:7", limits=limits) as session:
        row = await session.fetchrow(
            "select current_setting('application_name') as name, current_setting('statement_timeout') as bound"
        )
    assert (row["name"], row["bound"]) == ("realtime_connect:7", "15s")


async def test_the_server_notices_within_a_minute_that_a_worker_s_machine_vanished(
    database: Database, limits: SessionLimits
) -> None:
    async with short_session(database, application_name="test", limits=limits) as session:
        times = [
            int(await session.fetchval("select current_setting($1)", f"tcp_keepalives_{name}"))
            for name in ("idle", "interval", "count")
        ]
    assert times == [30, 10, 3]


async def test_a_statement_that_takes_too_long_is_ended_by_the_server(database: Database) -> None:
    limits = SessionLimits(statement_ms=50)
    async with short_session(database, application_name="test", limits=limits) as session:
        with pytest.raises(Exception, match="statement timeout"):
            await session.execute("select pg_sleep(30)")


async def test_a_statement_of_a_server_that_stops_answering_is_given_up_by_the_client(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.tenantdb.session.CLIENT_GRACE_MS", 100)
    limits = SessionLimits(statement_ms=100, close_ms=100)
    async with short_session(database, application_name="test", limits=limits) as session:
        backend = session.get_server_pid()
        os.kill(backend, signal.SIGSTOP)
        try:
            with pytest.raises((TimeoutError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError)):
                await session.execute("select 1")
        finally:
            os.kill(backend, signal.SIGCONT)


async def test_a_server_that_is_shutting_down_is_named_by_its_sqlstate(tmp_path: Path, limits: SessionLimits) -> None:
    server = PostgresServer(tmp_path, fsync=False)
    server.start()
    try:
        last = await server.superuser_connection()
        assert server.process is not None
        server.process.send(signal.SIGTERM)
        await eventually(lambda: refuses(server), "the server waits for the last session and takes no other one")
        failure = await refusal(entry_of(server), limits)
        await last.close()
    finally:
        server.kill()
    assert failure.reason is Reason.UNAVAILABLE
    assert "57P03" in str(failure)


async def refuses(server: PostgresServer) -> bool:
    return not server.answers()


async def test_a_wrong_password_is_named_by_its_sqlstate(database: Database, limits: SessionLimits) -> None:
    failure = await refusal(changed(database, password="not the password"), limits)
    assert (failure.reason, failure.code, failure.sqlstate) == (
        Reason.UNAVAILABLE,
        "UnableToConnectToTenantDatabase",
        "28P01",
    )


async def test_an_unknown_database_is_named_by_its_sqlstate(database: Database, limits: SessionLimits) -> None:
    failure = await refusal(changed(database, name="no_such_database"), limits)
    assert (failure.reason, failure.sqlstate) == (Reason.UNAVAILABLE, "3D000")


async def test_a_port_where_nobody_listens_is_named(database: Database, limits: SessionLimits) -> None:
    port = free_port()
    failure = await refusal(changed(database, port=port), limits)
    assert failure.reason is Reason.UNAVAILABLE
    assert f"{database.host}:{port}" in str(failure)
    assert "ConnectionRefusedError" in str(failure)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "two..dots", "x" * 80])
async def test_a_host_without_an_address_is_named(database: Database, limits: SessionLimits, host: str) -> None:
    failure = await refusal(changed(database, host=host), limits)
    assert failure.reason is Reason.UNAVAILABLE
    assert "IPv6" in str(failure)
    assert "IPv4" in str(failure)


async def test_a_server_that_says_nothing_is_given_up(database: Database) -> None:
    async with listening(say_nothing) as port:
        failure = await refusal(changed(database, port=port), SessionLimits(connect_ms=200))
    assert failure.reason is Reason.UNAVAILABLE
    assert "no answer in time" in str(failure)


async def test_a_backend_that_did_not_greet_us_is_a_pooler(database: Database, limits: SessionLimits) -> None:
    async with pooler_in_front_of(database) as port:
        failure = await refusal(changed(database, port=port), limits)
    assert (failure.reason, failure.code) == (Reason.POOLED_ENDPOINT, "PooledEndpoint")
    assert "the server's own host and port" in str(failure)
