from __future__ import annotations

import socket
import ssl

import asyncpg
import pytest

from streams.catalog.entry import Database
from streams.errors import RuntimeFailure
from streams.tenantdb.failure import (
    DETAIL_LENGTH_MAX,
    NewerClaimHoldsLock,
    OperationalCode,
    Reason,
    TenantDatabaseFailure,
    failure_of,
    translated,
)

DATABASE = Database.model_validate(
    {"host": "db.example", "port": 6543, "name": "main", "user": "owner", "password": "hunter2"}
)


@pytest.mark.parametrize(
    ("error", "reason", "code"),
    [
        (asyncpg.TooManyConnectionsError("sorry"), "tenant_db_too_many_connections", "DatabaseLackOfConnections"),
        (asyncpg.InvalidPasswordError("no"), "database_unavailable", "UnableToConnectToTenantDatabase"),
        (asyncpg.CannotConnectNowError("starting"), "database_unavailable", "UnableToConnectToTenantDatabase"),
        (asyncpg.InterfaceError("closed"), "database_unavailable", "UnableToConnectToTenantDatabase"),
        (ConnectionRefusedError(111, "refused"), "database_unavailable", "UnableToConnectToTenantDatabase"),
        (socket.gaierror(-2, "unknown"), "database_unavailable", "UnableToConnectToTenantDatabase"),
        (ssl.SSLError(1, "bad"), "database_unavailable", "UnableToConnectToTenantDatabase"),
        (TimeoutError(), "database_unavailable", "UnableToConnectToTenantDatabase"),
        (
            asyncpg.ProtocolViolationError("unsupported startup parameter: statement_timeout"),
            "pooled_endpoint",
            "PooledEndpoint",
        ),
    ],
)
def test_every_driver_error_has_a_stop_reason_and_an_operational_code(error: Exception, reason: str, code: str) -> None:
    failure = failure_of(error, DATABASE, "Trying")
    assert (failure.reason, failure.code) == (reason, code)


def test_a_failure_says_where_and_with_which_sqlstate_and_not_the_password() -> None:
    failure = failure_of(asyncpg.InvalidPasswordError("the password 'hunter2' is wrong"), DATABASE, "Trying")
    assert str(failure) == "Trying failed on database 'main' at db.example:6543 as user 'owner': SQLSTATE 28P01."
    assert failure.sqlstate == "28P01"
    assert "hunter2" not in repr(failure)


def test_a_servers_words_are_cut_and_kept_on_one_line() -> None:
    failure = failure_of(asyncpg.RaiseError("line\n" * 1000), DATABASE, "Trying")
    assert "\n" not in str(failure)
    assert len(str(failure)) < DETAIL_LENGTH_MAX + 150


def test_errors_of_the_driver_are_translated_and_keep_their_cause() -> None:
    with pytest.raises(TenantDatabaseFailure) as caught, translated(DATABASE, "Trying"):
        raise ConnectionResetError(104, "reset")
    assert isinstance(caught.value.__cause__, ConnectionResetError)


def test_errors_of_the_program_are_not_translated() -> None:
    with pytest.raises(ZeroDivisionError), translated(DATABASE, "Trying"):
        raise ZeroDivisionError


def test_failures_are_runtime_failures_with_their_own_code() -> None:
    failure = TenantDatabaseFailure(Reason.MIGRATIONS_FAILED, OperationalCode.MIGRATIONS_FAILED, "0001 failed")
    assert isinstance(failure, RuntimeFailure)
    assert (failure.reason, failure.code, str(failure)) == ("migrations_failed", "MigrationsFailedToRun", "0001 failed")


def test_a_newer_claim_names_both_claims() -> None:
    refusal = NewerClaimHoldsLock(3, 9)
    assert (refusal.claim, refusal.held_by) == (3, 9)
    assert "9" in str(refusal)
