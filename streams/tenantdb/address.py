"""Names to addresses: IPv6 first, then IPv4."""

from __future__ import annotations

import asyncio
import socket

from streams.catalog.entry import Database
from streams.tenantdb.failure import OperationalCode, Reason, TenantDatabaseFailure, target

ADDRESSES_MAX = 8
"""Most addresses of one host name that are tried, IPv6 and IPv4 together."""


async def addresses_of(database: Database) -> tuple[str, ...]:
    """Resolve the host: its IPv6 addresses, then its IPv4 ones, at most `ADDRESSES_MAX`.

    Raises:
        TenantDatabaseFailure: the host has an address of neither kind.
    """
    found: list[str] = []
    refusals: list[str] = []
    for family, label in ((socket.AF_INET6, "IPv6"), (socket.AF_INET, "IPv4")):
        try:
            found.extend(await _resolve(database, family))
        # A host name that is no name at all is a ValueError (a label too long, a null character).
        except (OSError, ValueError) as error:
            refusals.append(f"{label}: {error}")
    if not found:
        raise TenantDatabaseFailure(
            Reason.UNAVAILABLE,
            OperationalCode.UNABLE_TO_CONNECT,
            f"The host of {target(database)} has no address ({'; '.join(refusals)}).",
        )
    return tuple(dict.fromkeys(found))[:ADDRESSES_MAX]


async def _resolve(database: Database, family: socket.AddressFamily) -> list[str]:
    loop = asyncio.get_running_loop()
    rows = await loop.getaddrinfo(database.host, database.port, family=family, type=socket.SOCK_STREAM)
    return [str(row[4][0]) for row in rows]
