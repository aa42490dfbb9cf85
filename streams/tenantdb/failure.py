"""What can go wrong with a tenant's database, and the translation of every driver and socket error into it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

import asyncpg

from streams.catalog.entry import Database
from streams.errors import RuntimeFailure

DETAIL_LENGTH_MAX = 300
"""Longest part of a server's or an operating system's own message that is passed on, in characters."""

UNSUPPORTED_STARTUP_PARAMETER = "unsupported startup parameter"
"""How connection poolers that parse the start-up packet refuse a setting; PostgreSQL never says so."""

DRIVER_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncio.IncompleteReadError,
    OSError,
)
"""Everything that the driver, a socket, TLS or a timeout (an `OSError` since Python 3.11) raises."""


class Reason(StrEnum):
    """Stop reasons that a tenant's database can cause."""

    TOO_MANY_CONNECTIONS = "tenant_db_too_many_connections"
    UNAVAILABLE = "database_unavailable"
    MIGRATIONS_FAILED = "migrations_failed"
    POOLED_ENDPOINT = "pooled_endpoint"


class OperationalCode(StrEnum):
    """The names under which operators know these failures from logs."""

    LACK_OF_CONNECTIONS = "DatabaseLackOfConnections"
    UNABLE_TO_CONNECT = "UnableToConnectToTenantDatabase"
    MIGRATIONS_FAILED = "MigrationsFailedToRun"
    POOLED_ENDPOINT = "PooledEndpoint"


class TenantDatabaseFailure(RuntimeFailure):
    """A tenant's database could not be used.

    Attributes:
        reason: the stop reason that follows from it.
        code: the operational code, as logs carry it.
        sqlstate: five characters where the server answered with an error, else None
            (https://www.postgresql.org/docs/current/errcodes-appendix.html).
    """

    code: str = OperationalCode.UNABLE_TO_CONNECT  # type: ignore[misc]  # every failure carries its own
    meaning = "The tenant's database cannot be used."
    remedy = "Mend what the message names, in the database or in the catalog entry; then connect again."

    def __init__(self, reason: Reason, code: OperationalCode, message: str, *, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.code = code
        self.sqlstate = sqlstate


class NewerClaimHoldsLock(RuntimeFailure):
    """The tenant's lock is held under a newer claim than ours: withdraw, the newer owner carries on.

    Attributes:
        claim: the claim we came with.
        held_by: the claim that holds the lock.
    """

    code = "newer_claim_holds_lock"
    meaning = "A worker with a newer claim holds the tenant's database."
    remedy = "Nothing: the newer owner carries on."

    def __init__(self, claim: int, held_by: int) -> None:
        super().__init__(
            f"The tenant's lock is held under claim {held_by}; ours is {claim}. The newer owner carries on."
        )
        self.claim = claim
        self.held_by = held_by


def target(database: Database) -> str:
    """Say which database is meant, without its password."""
    return f"database {database.name!r} at {database.host}:{database.port} as user {database.user!r}"


def sqlstate_of(error: BaseException) -> str | None:
    """Return the SQLSTATE of a server's error, None for any other."""
    return error.sqlstate if isinstance(error, asyncpg.PostgresError) else None


def reduced(error: BaseException, database: Database) -> str:
    """Say in one line what went wrong: SQLSTATE and message, or the operating system's words.

    The text comes from outside: it is cut to `DETAIL_LENGTH_MAX`, and left out where it repeats the password.
    """
    kind = _kind(error)
    detail = " ".join(str(error).split()).rstrip(".")
    secret = database.password.get_secret_value()
    if not detail or (secret and secret in detail):
        return kind
    return f"{kind}: {detail[:DETAIL_LENGTH_MAX]}"


def _kind(error: BaseException) -> str:
    sqlstate = sqlstate_of(error)
    if sqlstate is not None:
        return f"SQLSTATE {sqlstate}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return "TLS" if isinstance(error, ssl.SSLError) else type(error).__name__


def pooled_endpoint(database: Database, evidence: str) -> TenantDatabaseFailure:
    """Build the failure for an address that is a connection pooler's."""
    return TenantDatabaseFailure(
        Reason.POOLED_ENDPOINT,
        OperationalCode.POOLED_ENDPOINT,
        f"{target(database)} is a connection pooler ({evidence}), and a lock taken through it locks nothing. "
        "Put the server's own host and port into the catalog entry.",
    )


def failure_of(error: BaseException, database: Database, attempt: str) -> TenantDatabaseFailure:
    """Translate an error of the driver or the operating system.

    Args:
        error: one of `DRIVER_ERRORS`.
        database: where it happened.
        attempt: what was tried, as the beginning of a sentence ("Opening a session").
    """
    if isinstance(error, asyncpg.PostgresError) and UNSUPPORTED_STARTUP_PARAMETER in str(error):
        return pooled_endpoint(database, reduced(error, database))
    message = f"{attempt} failed on {target(database)}: {reduced(error, database)}."
    if isinstance(error, asyncpg.TooManyConnectionsError):
        reason, code = Reason.TOO_MANY_CONNECTIONS, OperationalCode.LACK_OF_CONNECTIONS
    else:
        reason, code = Reason.UNAVAILABLE, OperationalCode.UNABLE_TO_CONNECT
    return TenantDatabaseFailure(reason, code, message, sqlstate=sqlstate_of(error))


@contextmanager
def translated(database: Database, attempt: str) -> Iterator[None]:
    """Turn every driver error of the block into a `TenantDatabaseFailure`.

    Raises:
        TenantDatabaseFailure: see `failure_of`.
    """
    try:
        yield
    except DRIVER_ERRORS as error:
        raise failure_of(error, database, attempt) from error
