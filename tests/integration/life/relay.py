"""A network between workers and a server: what goes through it can get lost, without either end being told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from streams.devstack.postgres import PostgresServer
from tests.integration.tenantdb.listener import CHUNK_BYTES, listening


class Relay:
    """Relays connections to a server until they are lost; one that is opened afterwards is relayed again.

    Attributes:
        port: where it listens.
    """

    def __init__(self, server: PostgresServer) -> None:
        self.port = 0
        self._server = server
        self._lost = asyncio.Event()
        self._over = asyncio.Event()
        self._serving: set[asyncio.Task[None]] = set()

    def lose(self) -> None:
        """What is open now reaches the server no more, not even its end; the server keeps its half."""
        self._lost.set()
        self._lost = asyncio.Event()

    async def close(self) -> None:
        """Let go of everything."""
        self._over.set()
        await asyncio.gather(*self._serving)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(serving)
        await serving

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(self._server.host, self._server.port)
        passing = [asyncio.create_task(_pass_on(reader, to_server)), asyncio.create_task(_pass_on(from_server, writer))]
        lost, over = asyncio.create_task(self._lost.wait()), asyncio.create_task(self._over.wait())
        await asyncio.wait({*passing, lost, over}, return_when=asyncio.FIRST_COMPLETED)
        for task in passing:
            task.cancel()
        if lost.done():
            await over
        lost.cancel()
        over.cancel()
        to_server.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()


@asynccontextmanager
async def relaying(server: PostgresServer) -> AsyncIterator[Relay]:
    """A relay to a server."""
    relay = Relay(server)
    async with listening(relay.serve) as port:
        relay.port = port
        try:
            yield relay
        finally:
            await relay.close()
