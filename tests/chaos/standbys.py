"""A standby of the databases' server that is promoted when that server is lost, and found at the same address."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Final

from streams.devstack.account import account_for, command_prefix
from streams.devstack.cluster import find_binaries
from streams.devstack.postgres import PostgresServer
from streams.devstack.process import free_port
from tests.chaos.place import SERVER
from tests.chaos.stage import LOOK_INTERVAL_S, Stage

COPY_S: Final = 60.0
"""How long a copy of the server may take."""

ATTACHED_S: Final = 20.0
"""How long the standby may take until every commit waits for it."""

ATTACHED: Final = "select exists (select from pg_stat_replication where sync_state in ('sync', 'quorum'))"


async def standby_promoted(stage: Stage) -> None:
    """The server is lost; a standby that has every commit takes its place under its address, on a new timeline."""
    server = stage.place.server
    copy = server.directory / f"standby-{stage.settings.topic_prefix}"
    await _copied(server, copy)
    standby = PostgresServer(copy.parent / f"{copy.name}-log", port=free_port(), fsync=False, settings=SERVER)
    standby.data = copy
    standby.directory.mkdir(mode=0o755)
    (standby.directory / "password").write_text(server.password)
    await asyncio.to_thread(standby.start)
    try:
        await _told(server, "alter system set synchronous_standby_names = '*'")
        await _attached(server)
        await stage.pause(2, 3)
        with stage.fault("a standby takes the place of the database server", database=True):
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(standby.stop)
            server.data = copy
            await asyncio.to_thread(server.start)
            session = await server.superuser_connection()
            await session.execute("select pg_promote()")
            await session.close()
    finally:
        await asyncio.to_thread(standby.kill)
    await stage.serving()


async def _copied(server: PostgresServer, directory: Path) -> None:
    """Copy the running server. Source: PostgreSQL 18, pg_basebackup."""
    binaries = find_binaries()
    account = account_for(server.data)
    await asyncio.to_thread(directory.mkdir, mode=0o700)
    if account is not None:
        account.own(directory)
    place = f"host={server.host} port={server.port} user={server.user}"
    command = [str(binaries / "pg_basebackup"), "-D", str(directory), "-R", "-X", "stream", "-c", "fast", "-d", place]
    process = await asyncio.create_subprocess_exec(
        *command_prefix(account, binaries / "pg_basebackup", directory / "any"),
        *command,
        env={"PATH": os.environ["PATH"], "PGPASSWORD": server.password},
        cwd=directory,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(COPY_S):
        _, said = await process.communicate()
    assert process.returncode == 0, said.decode()


async def _told(server: PostgresServer, statement: str) -> None:
    session = await server.superuser_connection()
    await session.execute(statement)
    await session.execute("select pg_reload_conf()")
    await session.close()


async def _attached(server: PostgresServer) -> None:
    session = await server.superuser_connection()
    try:
        async with asyncio.timeout(ATTACHED_S):
            while not await session.fetchval(ATTACHED):  # noqa: ASYNC110  a server tells nobody
                await asyncio.sleep(LOOK_INTERVAL_S)
    finally:
        await session.close()
