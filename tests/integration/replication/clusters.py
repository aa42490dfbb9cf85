"""Copies of a server's data, and programs that work on it while it stands still."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from streams.devstack.account import account_for, command_prefix
from streams.devstack.cluster import find_binaries
from streams.devstack.postgres import PostgresServer

PROGRAM_SECONDS = 60.0
SEGMENT_OF_TRANSACTIONS = 1 << 20
"""Transactions whose outcome one file of pg_xact has."""


def run(server: PostgresServer, program: str, *arguments: str) -> None:
    """Run a program of PostgreSQL's as the account that owns the server's data."""
    account = account_for(server.data)
    binary = find_binaries() / program
    subprocess.run(  # noqa: S603  put together here
        [*command_prefix(account, binary, server.data.parent), str(binary), *arguments],
        check=True,
        capture_output=True,
        timeout=PROGRAM_SECONDS,
        env={**os.environ, "PGPASSWORD": server.password},
        cwd="/",
    )


def empty_copy(server: PostgresServer, directory: Path, **settings: str) -> PostgresServer:
    """A server like this one, with its password, and no data yet."""
    directory.mkdir()
    shutil.copy2(server.directory / "password", directory / "password")
    copy = PostgresServer(directory, fsync=False, settings=settings)
    copy.data.mkdir(mode=0o700)
    account = account_for(server.data)
    if account is not None:
        account.own(copy.data)
    return copy


def standby_of(server: PostgresServer, directory: Path) -> PostgresServer:
    """A standby of a running server, from a base backup; not started yet."""
    source = f"host={server.host} port={server.port} user={server.user} password={server.password}"
    standby = empty_copy(server, directory, primary_conninfo=source)
    address = (f"--host={server.host}", f"--port={server.port}", f"--username={server.user}")
    run(server, "pg_basebackup", *address, f"--pgdata={standby.data}", "--checkpoint=fast", "--write-recovery-conf")
    return standby


def keep_copy(server: PostgresServer, directory: Path) -> None:
    """Copy the data of a server that stands still, owners and all."""
    subprocess.run(["cp", "-a", str(server.data), str(directory)], check=True, timeout=PROGRAM_SECONDS)  # noqa: S603, S607


def put_back(server: PostgresServer, directory: Path) -> None:
    """Replace the data of a server that stands still by a copy kept before."""
    shutil.rmtree(server.data)
    subprocess.run(["cp", "-a", str(directory), str(server.data)], check=True, timeout=PROGRAM_SECONDS)  # noqa: S603, S607


def set_next_transaction(server: PostgresServer, number: int) -> None:
    """Let the next transaction of a server that stands still have this number; all its rows have to be frozen."""
    run(server, "pg_resetwal", f"--next-transaction-id={number}", "--pgdata", str(server.data))
    outcomes = server.data / "pg_xact" / f"{number // SEGMENT_OF_TRANSACTIONS:04X}"
    outcomes.write_bytes(bytes(SEGMENT_OF_TRANSACTIONS // 4))
    account = account_for(server.data)
    if account is not None:
        account.own(outcomes)
