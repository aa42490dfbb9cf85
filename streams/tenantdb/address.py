"""Names to addresses: IPv6 first, then IPv4."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from streams.catalog.entry import Database
from streams.tenantdb.failure import OperationalCode, Reason, TenantDatabaseFailure, target

ADDRESSES_PER_FAMILY_MAX = 4
"""Most addresses of one host name that are tried of each kind; many of one kind must not crowd the other one out."""

FAMILIES = ((socket.AF_INET6, "IPv6"), (socket.AF_INET, "IPv4"))
"""Kinds of addresses, in the order in which they are tried."""


async def addresses_of(database: Database) -> tuple[str, ...]:
    """Resolve the host: its IPv6 addresses, then its IPv4 ones, at most `ADDRESSES_PER_FAMILY_MAX` of each.

    Raises:
        TenantDatabaseFailure: the host has an address of neither kind.
    """
    if _is_address(database.host):
        return (database.host,)
    answers = await asyncio.gather(*(_resolve(database, family) for family, _ in FAMILIES))
    found = [address for answer in answers if not isinstance(answer, Exception) for address in answer]
    if not found:
        refusals = "; ".join(f"{label}: {answer}" for (_, label), answer in zip(FAMILIES, answers, strict=True))
        raise TenantDatabaseFailure(
            Reason.UNAVAILABLE,
            OperationalCode.UNABLE_TO_CONNECT,
            f"The host of {target(database)} has no address ({refusals}).",
        )
    return tuple(found)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def _resolve(database: Database, family: socket.AddressFamily) -> list[str] | OSError | ValueError:
    """Return addresses of one kind, or why there is none."""
    loop = asyncio.get_running_loop()
    try:
        rows = await loop.getaddrinfo(database.host, database.port, family=family, type=socket.SOCK_STREAM)
    # A host name that is no name at all is a ValueError (a label too long, a null character).
    except (OSError, ValueError) as error:
        return error
    return list(dict.fromkeys(str(row[4][0]) for row in rows))[:ADDRESSES_PER_FAMILY_MAX]
