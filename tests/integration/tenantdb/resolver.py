"""Host names that exist for the length of a test, beside those that the machine knows."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

Resolve = Callable[..., None]
"""Takes a host name and its addresses, in any order."""


@pytest.fixture
async def resolve() -> AsyncIterator[Resolve]:
    """Stand in for the name server: what it would answer cannot be arranged on a machine that runs tests."""
    names: dict[str, tuple[str, ...]] = {}
    loop = asyncio.get_running_loop()
    asked = loop.getaddrinfo

    async def getaddrinfo(host: Any, port: Any, *, family: int = 0, **options: Any) -> Any:
        if host not in names:
            return await asked(host, port, family=family, **options)
        rows = [(family, options.get("type", 0), 6, "", (address, port)) for address in of(family, names[host])]
        if not rows:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return rows

    def add(name: str, *addresses: str) -> None:
        names[name] = addresses

    loop.getaddrinfo = getaddrinfo  # type: ignore[method-assign]  # the loop is the one place where names are asked for
    yield add
    loop.getaddrinfo = asked  # type: ignore[method-assign]  # see above


def of(family: int, addresses: tuple[str, ...]) -> list[str]:
    version = 6 if family == socket.AF_INET6 else 4
    return [address for address in addresses if ipaddress.ip_address(address).version == version]
