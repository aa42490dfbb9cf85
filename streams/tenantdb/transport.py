"""Below the session: TLS contexts and TCP keep-alive."""

from __future__ import annotations

import functools
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from streams.catalog.entry import Database, Tls
from streams.tenantdb.failure import OperationalCode, Reason, TenantDatabaseFailure, target

AUTHORITIES_CACHED_MAX = 64
"""Certificate authorities whose TLS context is kept; a context is shared by all tenants of one authority."""

KEEPALIVE_IDLE_SECONDS = 30
KEEPALIVE_INTERVAL_SECONDS = 10
KEEPALIVE_PROBES = 3
"""A peer that vanished without a word is noticed after idle + interval x probes: one minute."""

_host_to_verify: ContextVar[str | None] = ContextVar("host_to_verify", default=None)


class _NamedHostContext(ssl.SSLContext):
    """A context that verifies the host name of the catalog entry.

    The driver is given an address, because the order of addresses is ours, and would verify that. The name travels
    in a context variable and not in the context object: a context with the system's authorities takes megabytes,
    and thousands of tenants share one.
    """

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        host = _host_to_verify.get()
        return super().wrap_bio(*args, **(options | {"server_hostname": host} if host else options))


@contextmanager
def host_verified(host: str) -> Iterator[None]:
    """Make TLS handshakes that begin in the block verify `host`."""
    token = _host_to_verify.set(host)
    try:
        yield
    finally:
        _host_to_verify.reset(token)


def tls_context(database: Database) -> ssl.SSLContext | None:
    """Return the context of the entry's TLS mode, None for `disable`.

    `require` encrypts and verifies nothing; `verify-full` verifies chain and host name, with the entry's authority,
    or with the system's where the entry has none (https://www.postgresql.org/docs/current/libpq-ssl.html).

    Raises:
        TenantDatabaseFailure: the entry's certificate authority is no PEM text.
    """
    if database.tls is Tls.DISABLE:
        return None
    if database.tls is Tls.REQUIRE:
        return _encrypting()
    try:
        return _verifying(database.ca)
    except (ssl.SSLError, ValueError) as error:
        raise TenantDatabaseFailure(
            Reason.UNAVAILABLE,
            OperationalCode.UNABLE_TO_CONNECT,
            f"The certificate authority given for {target(database)} cannot be read as PEM text.",
        ) from error


@functools.cache
def _encrypting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@functools.lru_cache(maxsize=AUTHORITIES_CACHED_MAX)
def _verifying(authority: str | None) -> ssl.SSLContext:
    context = _NamedHostContext(ssl.PROTOCOL_TLS_CLIENT)
    if authority is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        context.load_verify_locations(cadata=authority)
    return context


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
