from __future__ import annotations

import asyncio
import contextlib
import gc
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from streams.catalog.entry import Database
from streams.tenantdb.connection import TenantConnection
from streams.tenantdb.failure import Reason, TenantDatabaseFailure
from streams.tenantdb.naming import session_name
from streams.tenantdb.session import SessionLimits, open_session, short_session
from streams.tenantdb.transport import TLS_READ_BYTES
from tests.integration.tenantdb.certificates import Identity, authority, server_identity
from tests.integration.tenantdb.conditions import eventually
from tests.integration.tenantdb.conftest import changed
from tests.integration.tenantdb.encrypted import ENCRYPTED_ONLY, EncryptedServer
from tests.integration.tenantdb.listener import agree_to_encrypt_and_say_nothing, listening
from tests.integration.tenantdb.resolver import Resolve

pytestmark = pytest.mark.postgres

HOST = "localhost"
ADDRESS = "127.0.0.1"
ANOTHER_NAME = "another.test"
PASSWORD = "a tenant's password"

SESSIONS = 20
MEMORY_PER_SESSION_MAX = 64 * 1024
"""Bytes of Python's own memory."""


@pytest.fixture(scope="module")
def signer() -> Identity:
    return authority("the server's authority")


@pytest.fixture(scope="module")
def server(signer: Identity, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EncryptedServer]:
    made = EncryptedServer(tmp_path_factory.mktemp("encrypted"), server_identity(signer, HOST))
    made.start()
    yield made
    made.stop()


@pytest.fixture
async def administrator(server: EncryptedServer) -> AsyncIterator[Any]:
    session = await server.superuser_connection()
    yield session
    await session.close()


@pytest.fixture
def secured(server: EncryptedServer, signer: Identity) -> Database:
    """An entry that names the authority, and leaves it to the default what to do with it."""
    return Database.model_validate(
        {
            "host": HOST,
            "port": server.port,
            "name": "postgres",
            "user": server.user,
            "password": server.password,
            "ca": signer.pem,
        }
    )


async def is_encrypted(database: Database, limits: SessionLimits) -> bool:
    async with short_session(database, application_name="test", limits=limits) as session:
        return bool(await session.fetchval("select ssl from pg_stat_ssl where pid = pg_backend_pid()"))


async def refusal(database: Database, limits: SessionLimits) -> str:
    with pytest.raises(TenantDatabaseFailure) as caught:
        await open_session(database, application_name="test", limits=limits)
    assert (caught.value.reason, caught.value.code) == (Reason.UNAVAILABLE, "UnableToConnectToTenantDatabase")
    said = f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"
    assert database.password.get_secret_value() not in said
    assert f"(TLS {database.tls.value})" in said
    assert f"{database.host}:{database.port}" in said
    return said


async def test_disable_does_not_encrypt(secured: Database, limits: SessionLimits) -> None:
    assert not await is_encrypted(changed(secured, tls="disable"), limits)


async def test_require_encrypts_and_verifies_nothing(
    secured: Database, limits: SessionLimits, resolve: Resolve
) -> None:
    resolve(ANOTHER_NAME, ADDRESS)
    assert await is_encrypted(changed(secured, tls="require"), limits)
    assert await is_encrypted(changed(secured, tls="require", host=ANOTHER_NAME, ca=authority("other").pem), limits)


async def test_an_entry_with_an_authority_verifies_the_server_and_accepts_the_right_one(
    secured: Database, limits: SessionLimits
) -> None:
    assert secured.tls == "verify-full"
    assert await is_encrypted(secured, limits)


async def test_another_host_is_refused(secured: Database, limits: SessionLimits, resolve: Resolve) -> None:
    resolve(ANOTHER_NAME, ADDRESS)
    said = await refusal(changed(secured, host=ANOTHER_NAME), limits)
    assert f"Hostname mismatch, certificate is not valid for '{ANOTHER_NAME}'" in said
    assert f"{ADDRESS}: TLS" in said


async def test_an_address_has_to_be_in_the_certificate(
    signer: Identity, tmp_path: Path, secured: Database, limits: SessionLimits
) -> None:
    said = await refusal(changed(secured, host=ADDRESS), limits)
    assert f"IP address mismatch, certificate is not valid for '{ADDRESS}'" in said
    server = EncryptedServer(tmp_path, server_identity(signer, ADDRESS))
    server.start()
    try:
        assert await is_encrypted(changed(secured, host=ADDRESS, port=server.port), limits)
    finally:
        server.stop()


async def test_a_certificate_of_another_authority_is_refused(secured: Database, limits: SessionLimits) -> None:
    said = await refusal(changed(secured, ca=authority("the server's authority").pem), limits)
    assert "CERTIFICATE_VERIFY_FAILED" in said


async def test_without_an_authority_those_of_the_system_are_asked(secured: Database, limits: SessionLimits) -> None:
    said = await refusal(changed(secured, ca=None, tls="verify-full"), limits)
    assert "CERTIFICATE_VERIFY_FAILED" in said


@pytest.mark.parametrize("tls", ["require", "verify-full"])
async def test_encryption_is_not_given_up_where_the_server_has_none(
    database: Database, limits: SessionLimits, tls: str
) -> None:
    assert "rejected SSL upgrade" in await refusal(changed(database, tls=tls), limits)


async def test_a_server_that_insists_on_tls_refuses_who_comes_without(
    secured: Database, administrator: Any, limits: SessionLimits
) -> None:
    await administrator.execute(
        f"create role {ENCRYPTED_ONLY} login password '{PASSWORD.replace(chr(39), chr(39) * 2)}'"
    )
    insisting = changed(secured, user=ENCRYPTED_ONLY, password=PASSWORD)
    assert await is_encrypted(insisting, limits)
    assert "SQLSTATE 28000" in await refusal(changed(insisting, tls="disable"), limits)


async def test_a_handshake_that_is_never_finished_is_given_up(secured: Database) -> None:
    async with listening(agree_to_encrypt_and_say_nothing) as port:
        said = await refusal(changed(secured, port=port), SessionLimits(connect_ms=300))
    assert "no answer in time" in said


@pytest.mark.parametrize("authority", ["no certificate", "kein Schlüssel"])
async def test_an_authority_that_is_no_certificate_is_refused_and_not_repeated(
    secured: Database, limits: SessionLimits, authority: str
) -> None:
    with pytest.raises(TenantDatabaseFailure, match="cannot be read as PEM text") as caught:
        await open_session(changed(secured, ca=authority), application_name="test", limits=limits)
    assert authority not in str(caught.value)


async def test_every_session_of_a_connection_is_encrypted(
    secured: Database, administrator: Any, limits: SessionLimits
) -> None:
    connection = await TenantConnection.open(changed(secured, pool_size=2), tenant="t", claim=3, limits=limits)
    encrypted = await administrator.fetch(
        "select ssl from pg_stat_ssl join pg_stat_activity using (pid) where application_name = $1", session_name(3)
    )
    await connection.close()
    assert [row["ssl"] for row in encrypted] == [True, True, True]


async def test_a_statement_that_is_given_up_is_ended_on_the_server_and_the_session_kept(
    secured: Database, administrator: Any, limits: SessionLimits
) -> None:
    async with short_session(secured, application_name="gives_up", limits=limits) as session:
        statement = asyncio.create_task(session.execute("select pg_sleep(60)"))
        await eventually(lambda: sleeps(administrator), "the statement runs")
        statement.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await statement
        assert await session.fetchval("select true")
        assert not await sleeps(administrator)


async def sleeps(administrator: Any) -> bool:
    return bool(
        await administrator.fetchval(
            "select count(*) from pg_stat_activity where application_name = 'gives_up' and wait_event = 'PgSleep'"
        )
    )


async def test_an_idle_session_takes_little_memory_and_reads_much_all_the_same(
    secured: Database, limits: SessionLimits
) -> None:
    async with contextlib.AsyncExitStack() as held:
        sessions = [await held.enter_async_context(short(secured, limits))]
        gc.collect()
        tracemalloc.start()
        try:
            sessions += [await held.enter_async_context(short(secured, limits)) for _ in range(SESSIONS)]
            gc.collect()
            taken, _peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert taken / SESSIONS < MEMORY_PER_SESSION_MAX
        length = TLS_READ_BYTES * 40 + 1
        assert len(await sessions[-1].fetchval("select repeat('x', $1::integer)", length)) == length


def short(database: Database, limits: SessionLimits) -> contextlib.AbstractAsyncContextManager[asyncpg.Connection]:
    return short_session(database, application_name="test", limits=limits)
