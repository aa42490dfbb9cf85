"""Below the session: TLS contexts, what TLS costs in memory, and TCP keep-alive."""

from __future__ import annotations

import functools
import socket
import ssl
from asyncio import sslproto
from typing import Any

from streams.catalog.entry import Database, Tls
from streams.tenantdb.failure import OperationalCode, Reason, TenantDatabaseFailure, target

CONTEXTS_CACHED_MAX = 64
"""TLS contexts that are kept of authorities, which all their tenants share, and of hosts, which a tenant's sessions
share; those that are in use live as long as their sessions."""

TLS_READ_BYTES = 32 * 1024
"""Buffer that each TLS connection of this process reads into; a record of TLS has at most 16 KiB (RFC 8446 §5.1)."""

KEEPALIVE_IDLE_SECONDS = 30
KEEPALIVE_INTERVAL_SECONDS = 10
KEEPALIVE_PROBES = 3
"""A peer that vanished without a word is noticed after idle + interval x probes: one minute."""


class _NamedHostContext(ssl.SSLContext):
    """Names and verifies the host of a catalog entry, by a context that all tenants of one authority share.

    The driver is given an address, because the order of addresses is ours, and would name and verify that; in
    handshakes of its own too, by which it asks the server to cancel a statement. A context with the system's
    authorities takes megabytes, one that has none 13 KB.
    """

    _shared: ssl.SSLContext
    _host: str

    @classmethod
    def of(cls, shared: ssl.SSLContext, host: str) -> _NamedHostContext:
        context = cls(ssl.PROTOCOL_TLS_CLIENT)
        context._shared = shared
        context._host = host
        return context

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *_: Any, **__: Any) -> ssl.SSLObject:
        return self._shared.wrap_bio(incoming, outgoing, server_side=False, server_hostname=self._host)


def tls_context(database: Database) -> ssl.SSLContext | None:
    """Return the context of the entry's TLS mode, None for `disable`.

    `require` encrypts and verifies nothing; `verify-full` verifies chain and host name, with the entry's authority,
    or with the system's where the entry has none (https://www.postgresql.org/docs/current/libpq-ssl.html).

    Raises:
        TenantDatabaseFailure: the entry's certificate authority is no PEM text.
    """
    if database.tls is Tls.DISABLE:
        return None
    bound_tls_buffers()
    try:
        shared = _encrypting() if database.tls is Tls.REQUIRE else _verifying(database.ca)
    except (ssl.SSLError, ValueError, TypeError) as error:  # the last for text that is not all ASCII
        raise TenantDatabaseFailure(
            Reason.UNAVAILABLE,
            OperationalCode.UNABLE_TO_CONNECT,
            f"The certificate authority given for {target(database)} cannot be read as PEM text.",
        ) from error
    return _naming(shared, database.host)


def bound_tls_buffers() -> None:
    """Have TLS connections that are made from now on read into `TLS_READ_BYTES` each.

    asyncio gives each of them 256 KiB, for as long as it lives; a tenant's sessions live for days, idle, and there are
    thousands. The size is an attribute of the class, and the loop can be given no other class: so it holds for
    the whole process, for TLS to Kafka too. What it costs is more calls where much arrives at once.
    """
    sslproto.SSLProtocol.max_size = TLS_READ_BYTES


@functools.cache
def _encrypting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@functools.lru_cache(maxsize=CONTEXTS_CACHED_MAX)
def _verifying(authority: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if authority is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        context.load_verify_locations(cadata=authority)
    return context


@functools.lru_cache(maxsize=CONTEXTS_CACHED_MAX)
def _naming(shared: ssl.SSLContext, host: str) -> ssl.SSLContext:
    return _NamedHostContext.of(shared, host)


def keep_alive(connection_socket: socket.socket) -> None:
    """Let the kernel notice a peer that vanished, on a socket that is idle for days (tcp(7))."""
    connection_socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_IDLE_SECONDS),
        ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL_SECONDS),
        ("TCP_KEEPCNT", KEEPALIVE_PROBES),
    ):
        option = getattr(socket, name, None)  # absent on some platforms, where the kernel's own times hold
        if option is not None:
            connection_socket.setsockopt(socket.IPPROTO_TCP, option, value)
