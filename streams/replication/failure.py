"""What can go wrong with a stream, and the translation of every error below it into one failure."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import psycopg2

from streams.catalog.entry import Database
from streams.errors import RuntimeFailure
from streams.tenantdb.failure import DETAIL_LENGTH_MAX, TenantDatabaseFailure, target

SENDERS_EXHAUSTED: Final = frozenset({"53300", "53400"})
"""SQLSTATEs of a server without a free connection, WAL sender or slot."""

SLOT_TAKEN: Final = frozenset({"42710", "55006"})
"""SQLSTATEs of a slot that exists, and of one that is in use."""

SENDERS_SETTINGS: Final = ("max_wal_senders", "max_replication_slots", "too many", "remaining connection slots")
"""How a refused connection names these limits: libpq hands over its text, and no SQLSTATE. Names of settings are in
no language; the other two are PostgreSQL's English."""

SILENT_END: Final = "no message from the libpq"
"""What psycopg2 says of a connection that ended without an error message; the rest of it names states of libpq."""

DRIVER_ERRORS: Final = (psycopg2.Error, OSError)
"""What the driver, a socket or a timeout raises."""


class ReplicationCode(StrEnum):
    """The names under which operators know these failures from logs."""

    MAX_WAL_SENDERS = "ReplicationMaxWalSendersReached"
    CONNECTION_TIMEOUT = "ReplicationConnectionTimeout"
    SLOT_IN_USE = "ReplicationSlotInUse"
    START_FAILED = "StartReplicationFailed"
    CONNECTION_DOWN = "ReplicationConnectionDown"
    WATCHDOG_TIMEOUT = "ReplicationConnectionWatchdogTimeout"
    SLOT_NOT_ALIVE = "ReplicationSlotNotAlive"
    SLOT_LAG_TOO_HIGH = "ReplicationSlotLagTooHigh"


class ReplicationFailure(RuntimeFailure):
    """Rows cannot be streamed, or not any more.

    Attributes:
        code: the operational code, as logs carry it.
        blocked_by: the session that stands in the way, where there is one.
    """

    code: str = ReplicationCode.START_FAILED  # type: ignore[misc]  # every failure carries its own
    meaning = "The tenant's rows cannot be streamed."
    remedy = "Nothing, if it passes: it is tried again. Else mend what the message names."

    def __init__(self, code: ReplicationCode, message: str, *, blocked_by: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.blocked_by = blocked_by


def setup_failure(error: BaseException, database: Database, attempt: str) -> ReplicationFailure:
    """Translate an error that came up before rows were streamed.

    Args:
        error: one of `DRIVER_ERRORS`, or a `TenantDatabaseFailure`.
        database: where it happened.
        attempt: what was tried, as the beginning of a sentence ("Making the slot").
    """
    if isinstance(error, TenantDatabaseFailure):
        return ReplicationFailure(_setup_code(error.sqlstate, str(error)), str(error))
    sqlstate = error.pgcode if isinstance(error, psycopg2.Error) else None
    message = f"{attempt} failed on {target(database)}: {reduced(error, database)}."
    return ReplicationFailure(_setup_code(sqlstate, str(error)), message)


def connection_down(error: BaseException, database: Database) -> ReplicationFailure:
    """Translate an error that ended a stream."""
    message = f"The stream from {target(database)} broke: {reduced(error, database)}."
    return ReplicationFailure(ReplicationCode.CONNECTION_DOWN, message)


def reduced(error: BaseException, database: Database) -> str:
    """Say in one line what went wrong: SQLSTATE where there is one, and the words of server, libpq or system.

    The text comes from outside: it is cut, and left out where it repeats the password.
    """
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if SILENT_END in str(error):
        return "the server ended the connection without a word"
    sqlstate = error.pgcode if isinstance(error, psycopg2.Error) else None
    kind = f"SQLSTATE {sqlstate}" if sqlstate else type(error).__name__
    detail = " ".join(str(error).split()).rstrip(".")
    secret = database.password.get_secret_value()
    if not detail or (secret and secret in detail):
        return kind
    return f"{kind}: {detail[:DETAIL_LENGTH_MAX]}"


def _setup_code(sqlstate: str | None, text: str) -> ReplicationCode:
    if sqlstate in SENDERS_EXHAUSTED or (sqlstate is None and any(name in text for name in SENDERS_SETTINGS)):
        return ReplicationCode.MAX_WAL_SENDERS
    if sqlstate in SLOT_TAKEN:
        return ReplicationCode.SLOT_IN_USE
    # Class 08 is connection exceptions, 57 is the operator's intervention, 57014 the end of a statement's time.
    if sqlstate is None or sqlstate[:2] in {"08", "57"}:
        return ReplicationCode.CONNECTION_TIMEOUT
    return ReplicationCode.START_FAILED
