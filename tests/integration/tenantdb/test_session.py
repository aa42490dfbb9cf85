from __future__ import annotations

import pytest

from streams.catalog.entry import Database
from streams.devstack.process import free_port
from streams.tenantdb.failure import Reason, TenantDatabaseFailure
from streams.tenantdb.session import SessionLimits, open_session, short_session
from tests.integration.tenantdb.conftest import changed
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


async def test_a_statement_that_takes_too_long_is_ended_by_the_server(database: Database) -> None:
    limits = SessionLimits(statement_ms=50)
    async with short_session(database, application_name="test", limits=limits) as session:
        with pytest.raises(Exception, match="statement timeout"):
            await session.execute("select pg_sleep(30)")


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
