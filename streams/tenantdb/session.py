"""One session with a tenant's database: reached, secured, bounded, and known to be no pooler's."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import asyncpg

from streams.catalog.entry import Database
from streams.tenantdb.address import addresses_of
from streams.tenantdb.failure import (
    DRIVER_ERRORS,
    OperationalCode,
    Reason,
    TenantDatabaseFailure,
    failure_of,
    pooled_endpoint,
    reduced,
    target,
    translated,
)
from streams.tenantdb.transport import (
    KEEPALIVE_IDLE_SECONDS,
    KEEPALIVE_INTERVAL_SECONDS,
    KEEPALIVE_PROBES,
    keep_alive,
    tls_context,
)

CLIENT_GRACE_MS = 5_000
"""The client gives a statement up this much later than the server should have, for a server that vanished."""


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Bounds on everything that waits for a tenant's database; all in milliseconds.

    Attributes:
        connect_ms: opening one session, from the name to the first answer.
        statement_ms: one statement.
        migration_statement_ms: one migration file, or one partition.
        migration_lock_ms: waiting for another migration runner, or for a table that a migration changes; less than
            `migration_statement_ms`, which ends the wait too.
        partition_lock_ms: waiting for the locks that making one partition takes; nobody who writes waits for them.
        drop_lock_ms: waiting for everybody who uses messages to be done, to drop one partition; whoever comes meanwhile
            waits as long, writers too. More than the second after which the server ends an autovacuum in the way.
        takeover_ms: ending an older owner's sessions and getting its lock.
        close_ms: closing gracefully, before sessions are cut.
    """

    connect_ms: int = 10_000
    statement_ms: int = 15_000
    migration_statement_ms: int = 50_000
    migration_lock_ms: int = 30_000
    partition_lock_ms: int = 5_000
    drop_lock_ms: int = 1_500
    takeover_ms: int = 10_000
    close_ms: int = 5_000


async def open_session(
    database: Database, *, application_name: str, limits: SessionLimits, statement_ms: int | None = None
) -> Any:
    """Open one session; the caller closes it.

    The host's addresses are tried in turn, each with an equal share of the time that is left.

    Args:
        database: where to, and as whom.
        application_name: how the session shows in `pg_stat_activity`; at most 63 characters.
        limits: bounds.
        statement_ms: another bound on statements than the limits'.

    Returns:
        An `asyncpg.Connection`.

    Raises:
        TenantDatabaseFailure: nothing could be reached, or logged in to, or it is a connection pooler's address.
    """
    tls = tls_context(database)
    timeout_ms = statement_ms or limits.statement_ms
    options = {
        "port": database.port,
        "user": database.user,
        "password": database.password.get_secret_value(),
        "database": database.name,
        "ssl": tls or False,
        "statement_cache_size": 0,
        "command_timeout": (timeout_ms + CLIENT_GRACE_MS) / 1000,
        "target_session_attrs": "any",
        "server_settings": _server_settings(application_name, timeout_ms),
    }
    deadline = time.monotonic() + limits.connect_ms / 1000
    session = await _first_answer(database, options, deadline)
    await _refuse_pooler(session, database, deadline)
    return session


@contextlib.asynccontextmanager
async def short_session(
    database: Database, *, application_name: str, limits: SessionLimits, statement_ms: int | None = None
) -> AsyncIterator[Any]:
    """Open a session for the block, and close it; see `open_session`."""
    session = await open_session(database, application_name=application_name, limits=limits, statement_ms=statement_ms)
    try:
        yield session
    finally:
        await close_session(session, limits.close_ms)


async def close_session(session: Any, close_ms: int) -> None:
    """Close gracefully within `close_ms` milliseconds, else cut. Raises nothing but cancellation."""
    try:
        await session.close(timeout=close_ms / 1000)
    except DRIVER_ERRORS:
        session.terminate()


@contextlib.asynccontextmanager
async def transaction(session: Any) -> AsyncIterator[None]:
    """Run the block in a transaction; an error that ends the connection is raised as it is.

    The driver's own transaction would say in its place that it cannot be ended, the connection being closed.
    """
    whole = session.transaction()
    await whole.start()
    try:
        yield
    except BaseException:
        with contextlib.suppress(*DRIVER_ERRORS):
            await whole.rollback()
        raise
    await whole.commit()


def _server_settings(application_name: str, statement_ms: int) -> dict[str, str]:
    return {
        "application_name": application_name,
        "statement_timeout": str(statement_ms),
        # A session of ours is idle for days on purpose: the database's own default must not end it.
        "idle_session_timeout": "0",
        # A machine of ours that vanished holds its lock for as long as the server does not notice.
        "tcp_keepalives_idle": str(KEEPALIVE_IDLE_SECONDS),
        "tcp_keepalives_interval": str(KEEPALIVE_INTERVAL_SECONDS),
        "tcp_keepalives_count": str(KEEPALIVE_PROBES),
        # Objects that somebody else puts into the path must not stand in for the server's own.
        "search_path": "pg_catalog",
    }


async def _first_answer(database: Database, options: dict[str, Any], deadline: float) -> Any:
    addresses = await _addresses(database, deadline)
    silent: list[str] = []
    error: BaseException = TimeoutError("no time was left")
    for tried, address in enumerate(addresses):
        share = max(deadline - time.monotonic(), 0) / (len(addresses) - tried)
        try:
            session = await asyncpg.connect(host=address, timeout=share, **options)
        # The next address may be another server, or the same one by a path that works.
        except (OSError, asyncpg.CannotConnectNowError) as refusal:
            silent.append(f"{address}: {reduced(refusal, database)}")
            error = refusal
        # A null character in a name or password is a ValueError.
        except (*DRIVER_ERRORS, ValueError) as refusal:
            raise failure_of(refusal, database, f"{_opening(database)} by {address}") from refusal
        else:
            _keep_alive(session)
            return session
    raise _unreachable(database, silent) from error


async def _addresses(database: Database, deadline: float) -> tuple[str, ...]:
    with translated(database, "Resolving the host name"):
        async with asyncio.timeout(max(deadline - time.monotonic(), 0)):
            return await addresses_of(database)


def _unreachable(database: Database, silent: list[str]) -> TenantDatabaseFailure:
    return TenantDatabaseFailure(
        Reason.UNAVAILABLE,
        OperationalCode.UNABLE_TO_CONNECT,
        f"{_opening(database)} failed on {target(database)}; tried {'; '.join(silent)}.",
    )


def _opening(database: Database) -> str:
    """Say what is tried, as the beginning of a sentence."""
    return f"Opening a session (TLS {database.tls.value})"


def _keep_alive(session: Any) -> None:
    # asyncpg has no public way to the socket, and no keep-alive of its own.
    connection_socket = session._transport.get_extra_info("socket")  # noqa: SLF001  # see above
    if connection_socket is not None and connection_socket.family in {socket.AF_INET, socket.AF_INET6}:
        keep_alive(connection_socket)


async def _refuse_pooler(session: Any, database: Database, deadline: float) -> None:
    try:
        with translated(database, "Asking for the backend's process id"):
            same = await _is_greeter(session, max(deadline - time.monotonic(), 0))
    except BaseException:
        session.terminate()
        raise
    if not same:
        session.terminate()
        raise pooled_endpoint(database, "the process that answers is not the one that greeted us")


async def _is_greeter(session: Any, timeout: float) -> bool:
    """Tell whether the backend that answers is the one that greeted us.

    A pooler makes up the process id of its greeting (`BackendKeyData`); PostgreSQL sends the backend's own
    (https://www.postgresql.org/docs/current/protocol-flow.html). The comparison runs in one simple query: a prepared
    statement could be parsed by one server process and executed by another.
    """
    greeted = int(session.get_server_pid())
    answer = await session.execute(f"select 1 where pg_catalog.pg_backend_pid() = {greeted}", timeout=timeout)
    return bool(answer == "SELECT 1")
