from __future__ import annotations

import psycopg2
import pytest

from streams.catalog.entry import Database
from streams.replication.failure import ReplicationCode, connection_down, setup_failure
from streams.tenantdb.failure import DETAIL_LENGTH_MAX, OperationalCode, Reason, TenantDatabaseFailure

DATABASE = Database.model_validate(
    {"host": "db.example", "name": "tenant", "user": "owner", "password": "a secret", "tls": "disable"}
)


class ServerError(psycopg2.Error):
    """What the driver raises for an answer of the server; it alone can set the SQLSTATE of its own."""

    def __init__(self, sqlstate: str | None, text: str = "it went wrong") -> None:
        super().__init__(text)
        self._sqlstate = sqlstate

    @property
    def pgcode(self) -> str | None:  # type: ignore[override]  # the driver's is set from C
        return self._sqlstate


@pytest.mark.parametrize(
    ("sqlstate", "code"),
    [
        ("53300", ReplicationCode.MAX_WAL_SENDERS),
        ("53400", ReplicationCode.MAX_WAL_SENDERS),
        ("42710", ReplicationCode.SLOT_IN_USE),
        ("55006", ReplicationCode.SLOT_IN_USE),
        ("08006", ReplicationCode.CONNECTION_TIMEOUT),
        ("57P01", ReplicationCode.CONNECTION_TIMEOUT),
        ("57014", ReplicationCode.CONNECTION_TIMEOUT),
        (None, ReplicationCode.CONNECTION_TIMEOUT),
        ("55000", ReplicationCode.START_FAILED),
        ("42501", ReplicationCode.START_FAILED),
    ],
)
def test_each_sqlstate_has_its_code_whichever_session_it_comes_from(
    sqlstate: str | None, code: ReplicationCode
) -> None:
    assert setup_failure(ServerError(sqlstate), DATABASE, "Trying").code == code
    pooled = TenantDatabaseFailure(Reason.UNAVAILABLE, OperationalCode.UNABLE_TO_CONNECT, "no", sqlstate=sqlstate)
    assert setup_failure(pooled, DATABASE, "Trying").code == code


@pytest.mark.parametrize(
    "text",
    [
        'FATAL:  number of requested standby connections exceeds "max_wal_senders" (currently 1)',
        "FATAL:  la quantité de connexions standby demandée dépasse max_wal_senders (actuellement 1)",
        "FATAL:  sorry, too many clients already",
        "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
    ],
)
def test_a_refused_connection_without_a_sqlstate_is_known_by_its_text(text: str) -> None:
    assert setup_failure(psycopg2.OperationalError(text), DATABASE, "Opening").code == ReplicationCode.MAX_WAL_SENDERS


@pytest.mark.parametrize("error", [TimeoutError(), ConnectionResetError("reset"), psycopg2.OperationalError("gone")])
def test_what_breaks_below_a_stream_ends_the_connection(error: Exception) -> None:
    failure = connection_down(error, DATABASE)
    assert failure.code == ReplicationCode.CONNECTION_DOWN
    assert failure.blocked_by is None


def test_a_server_that_said_nothing_is_told_of_in_words() -> None:
    silent = psycopg2.DatabaseError("error with status PGRES_COPY_BOTH and no message from the libpq")
    assert str(connection_down(silent, DATABASE)).endswith(": the server ended the connection without a word.")


def test_a_message_says_what_was_tried_and_where_in_one_line() -> None:
    failure = setup_failure(ServerError("55000", "not\nnow.\n"), DATABASE, "Making the slot")
    assert str(failure) == (
        "Making the slot failed on database 'tenant' at db.example:5432 as user 'owner': SQLSTATE 55000: not now."
    )


def test_a_message_never_repeats_the_password_and_is_never_long() -> None:
    assert "a secret" not in str(setup_failure(ServerError(None, "wrong: a secret"), DATABASE, "Opening"))
    assert len(str(setup_failure(ServerError(None, "x" * 10_000), DATABASE, "Opening"))) < DETAIL_LENGTH_MAX + 200
