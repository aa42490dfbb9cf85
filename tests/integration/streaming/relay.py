"""An address behind which one server can be put in the place of another, as after a failover."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from streams.devstack.postgres import PostgresServer
from tests.integration.tenantdb.listener import closing, listening

CHUNK_BYTES = 65_536


class Relay:
    """Passes every connection on to the server that stood behind it when it was opened.

    Attributes:
        port: where it listens on 127.0.0.1.
        server: whom it passes new connections on to.
    """

    def __init__(self, server: PostgresServer) -> None:
        self.port = 0
        self.server = server

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on until either side ends it."""
        there, back = await asyncio.open_connection(self.server.host, self.server.port)
        async with closing(back):
            directions = [asyncio.ensure_future(_pass_on(*pair)) for pair in ((reader, back), (there, writer))]
            try:
                await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for direction in directions:
                    direction.cancel()
                await asyncio.gather(*directions, return_exceptions=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def relaying(server: PostgresServer) -> AsyncIterator[Relay]:
    """An address of a server for as long as it is entered."""
    relay = Relay(server)
    async with listening(relay.serve) as relay.port:
        yield relay
