"""The errors of the service: each has a code, a meaning and a remedy.

::

    TenantConnectError
    ├── Refused                      the owner answered a command with an error
    │   ├── TenantNotFound           tenant_not_found
    │   ├── TenantSuspended          tenant_suspended
    │   ├── TenantDatabaseUnavailable  tenant_database_unavailable
    │   ├── TooManyConnections       tenant_db_too_many_connections
    │   ├── Initializing             initializing
    │   ├── ConnectRateLimitReached  connect_rate_limit_reached
    │   ├── RegionUnknown            region_unknown
    │   ├── TenantPaused             tenant_paused
    │   ├── PooledEndpoint           pooled_endpoint
    │   └── InvalidCommand           invalid_command
    ├── IllegalEvent                 illegal_event
    └── RuntimeFailure               see streams/errors.py
"""

from __future__ import annotations

from typing import ClassVar


class TenantConnectError(Exception):
    """The base of every error of the service.

    Attributes:
        code: stable name, used in replies, logs and exit messages.
        meaning: what the code says, in one sentence.
        remedy: what the reader can do next.
    """

    code: ClassVar[str] = "error"
    meaning: ClassVar[str] = "Something failed."
    remedy: ClassVar[str] = "Read the message; it names what failed."

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.meaning)


class Refused(TenantConnectError):
    """The owner of the tenant answered a command with an error."""

    code = "refused"
    meaning = "The command was refused."


class TenantNotFound(Refused):
    """The catalog has no entry for the tenant."""

    code = "tenant_not_found"
    meaning = "The catalog has no such tenant."
    remedy = "Add it with `tenant-connect tenants put`, then connect again."


class TenantSuspended(Refused):
    """The catalog entry of the tenant is suspended."""

    code = "tenant_suspended"
    meaning = "The tenant is suspended; it is not connected while that is so."
    remedy = "Lift it with `tenant-connect tenants resume TENANT`."


class TenantDatabaseUnavailable(Refused):
    """The tenant's database could not be reached, refused us, could not be provisioned, or was given up meanwhile."""

    code = "tenant_database_unavailable"
    meaning = "The tenant's database cannot be used, or its connection was given up meanwhile."
    remedy = "See `tenant-connect why TENANT`: mend what it names, if anything is to be mended; then connect again."


class TooManyConnections(Refused):
    """The tenant's database has no room for the connections that are required."""

    code = "tenant_db_too_many_connections"
    meaning = "The tenant's database has too few free connections."
    remedy = "Free connections, raise max_connections, or lower the pool sizes; then connect again."


class Initializing(Refused):
    """The tenant was not ready within the caller's timeout; connecting goes on."""

    code = "initializing"
    meaning = "The tenant is still being connected."
    remedy = "Ask again; the connection goes on without you."


class ConnectRateLimitReached(Refused):
    """Too many connection failures; nothing is tried before ``retry_at``."""

    code = "connect_rate_limit_reached"
    meaning = "The tenant's connection failed too often and is not tried for a while."
    remedy = "Wait until retry_at, or send `tenant-connect retry TENANT` once the cause is mended."


class RegionUnknown(Refused):
    """The tenant's platform region is mapped to no serving region."""

    code = "region_unknown"
    meaning = "No serving region is mapped to the tenant's platform region."
    remedy = "Map it in TENANT_CONNECT_REGIONS, or change the tenant's region."


class TenantPaused(Refused):
    """An operator paused the tenant."""

    code = "tenant_paused"
    meaning = "The tenant is paused by an operator."
    remedy = "Lift it with `tenant-connect resume TENANT`."


class PooledEndpoint(Refused):
    """The catalog entry leads to a connection pooler, where an advisory lock locks nothing."""

    code = "pooled_endpoint"
    meaning = "The database address is a connection pooler's, not the server's."
    remedy = "Put the server's direct host and port into the catalog entry."


class InvalidCommand(Refused):
    """The command could not be read or breaks the contract."""

    code = "invalid_command"
    meaning = "The command cannot be read, or a field of it is wrong."
    remedy = "Compare it with schemas/command.json; the message names the field."


class IllegalEvent(TenantConnectError):
    """An event on the log that the state before it does not permit."""

    code = "illegal_event"
    meaning = "An event on the log does not follow from the state before it."
    remedy = "Run `tenant-connect audit verify`; do not edit the log."


REFUSALS: dict[str, type[Refused]] = {
    error.code: error
    for error in (
        TenantNotFound,
        TenantSuspended,
        TenantDatabaseUnavailable,
        TooManyConnections,
        Initializing,
        ConnectRateLimitReached,
        RegionUnknown,
        TenantPaused,
        PooledEndpoint,
        InvalidCommand,
    )
}
