"""Listeners in a server's place or before one: silent ones, and one that greets as a pooler does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from streams.catalog.entry import Database

BACKEND_KEY_DATA = b"K"
HEADER_BYTES = 5
CHUNK_BYTES = 4096
FORGED_PID = 4_711
SSL_REQUEST = (8).to_bytes(4, "big") + (80_877_103).to_bytes(4, "big")

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def listening(serve: Serve, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[int]:
    """Serve every client of a port, which is chosen where none is given; yields the port."""
    clients: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        clients.add(task)
        async with closing(writer):
            await serve(reader, writer)

    server = await asyncio.start_server(accept, host, port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)


@contextlib.asynccontextmanager
async def closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    try:
        yield
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def say_nothing(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    while await reader.read(CHUNK_BYTES):
        pass


async def agree_to_encrypt_and_say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readexactly(len(SSL_REQUEST))
    writer.write(b"S")
    await say_nothing(reader, writer)


@contextlib.asynccontextmanager
async def pooler_in_front_of(database: Database) -> AsyncIterator[int]:
    """Relay to the server, and make up the process id in its greeting."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _relay(database, reader, writer)

    async with listening(serve) as port:
        yield port


async def _relay(
    database: Database,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    server_reader, server_writer = await asyncio.open_connection(database.host, database.port)
    async with closing(server_writer):
        await asyncio.gather(
            _until_closed(_relay_bytes(reader, server_writer)),
            _until_closed(_relay_messages(server_reader, writer)),
        )


async def _until_closed(relay: Awaitable[None]) -> None:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        await relay


async def _relay_bytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(CHUNK_BYTES):
        writer.write(chunk)
    writer.close()


async def _relay_messages(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while header := await reader.readexactly(HEADER_BYTES):
            body = await reader.readexactly(int.from_bytes(header[1:], "big") - 4)
            if header[:1] == BACKEND_KEY_DATA:
                body = FORGED_PID.to_bytes(4, "big") + body[4:]
            writer.write(header + body)
    finally:
        writer.close()
