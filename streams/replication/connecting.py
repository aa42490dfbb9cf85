"""Reaching a server for replication, and waiting for its answers, on the running event loop."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg2
from psycopg2 import extensions
from psycopg2.extras import LogicalReplicationConnection

from streams.catalog.entry import Database
from streams.replication.endpoint import parameters
from streams.replication.failure import DRIVER_ERRORS, ReplicationCode, ReplicationFailure, setup_failure
from streams.tenantdb.address import addresses_of
from streams.tenantdb.failure import TenantDatabaseFailure


async def connect(database: Database, *, application_name: str, connect_ms: int) -> Any:
    """Open a connection for logical replication; the host's addresses are tried in turn, IPv6 before IPv4.

    Args:
        database: where to; its user must be allowed to replicate.
        application_name: how it shows in `pg_stat_activity`; at most 63 characters.
        connect_ms: longest time, in milliseconds; each address gets an equal share of what is left.

    Returns:
        A `psycopg2.extras.LogicalReplicationConnection` in asynchronous mode.

    Raises:
        ReplicationFailure: no address could be reached and logged in to; says why for each.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + connect_ms / 1000
    addresses = await _addresses(database, deadline)
    refusals: list[ReplicationFailure] = []
    for tried, address in enumerate(addresses):
        now = loop.time()
        share = now + max(deadline - now, 0) / (len(addresses) - tried)
        try:
            return await _connected(database, address, application_name, share)
        # The next address may be another server, or the same one by a path that works.
        except DRIVER_ERRORS as error:
            refusals.append(setup_failure(error, database, f"Opening a replication session by {address}"))
    last = refusals[-1]
    raise ReplicationFailure(ReplicationCode(last.code), " ".join(str(refusal) for refusal in refusals)) from last


async def settled(connection: Any, deadline: float) -> None:
    """Wait until a connection is open, or a command is answered.

    Args:
        connection: of psycopg2, in asynchronous mode.
        deadline: in the loop's time.

    Raises:
        psycopg2.Error: the server refused, or the connection broke.
        TimeoutError: the deadline came first.
    """
    async with asyncio.timeout_at(deadline):
        while (state := connection.poll()) != extensions.POLL_OK:
            await _ready(connection.fileno(), writable=state == extensions.POLL_WRITE)


async def _connected(database: Database, address: str, application_name: str, deadline: float) -> Any:
    with parameters(database, address, application_name) as given:
        connection = psycopg2.connect(connection_factory=LogicalReplicationConnection, async_=1, **given)
        try:
            await settled(connection, deadline)
        except BaseException:
            connection.close()
            raise
    return connection


async def _ready(descriptor: int, *, writable: bool) -> None:
    """Wait for a socket. It is let go of after each wait: libpq may close it and open another one."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    add, remove = (loop.add_writer, loop.remove_writer) if writable else (loop.add_reader, loop.remove_reader)
    add(descriptor, wake)
    try:
        await ready
    finally:
        remove(descriptor)


async def _addresses(database: Database, deadline: float) -> tuple[str, ...]:
    try:
        async with asyncio.timeout_at(deadline):
            return await addresses_of(database)
    except (TenantDatabaseFailure, OSError) as error:
        raise setup_failure(error, database, "Resolving the host name") from error
