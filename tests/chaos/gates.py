"""A way to a broker that stops in ways that bytes alone do not tell: for fetches only, or for what is open by now.

Toxics work on bytes. What tells a fetch from a heartbeat is the request's key.
Source: https://kafka.apache.org/protocol (size INT32, api_key INT16; Fetch has the key 1).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

FETCH: Final = 1
SIZE_BYTES: Final = 4
KEY_BYTES: Final = 2
CHUNK_BYTES: Final = 65_536

BROKEN: Final = (asyncio.IncompleteReadError, OSError)
"""How a connection ends."""

End = tuple[asyncio.StreamReader, asyncio.StreamWriter]
"""One end of a connection."""


class Gate:
    """A way to one broker, of one port to another of this machine.

    A held fetch holds what its connection sends after it, as a broker that does not answer would; clients send
    heartbeats on connections of their own.

    Args:
        port: where it listens.
        upstream: where the broker listens.

    Attributes:
        address: where clients begin.
    """

    def __init__(self, port: int, upstream: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self.port = port
        self.upstream = upstream
        self._fetching = asyncio.Event()
        self._fetching.set()
        self._joined: set[asyncio.Task[Any]] = set()
        self._passing: set[asyncio.Event] = set()

    def hold(self) -> None:
        """Fetches do not pass any more."""
        self._fetching.clear()

    def release(self) -> None:
        """Everything passes."""
        self._fetching.set()

    def mute(self) -> None:
        """What is open by now carries nothing any more and is not closed; whoever connects anew is not concerned.

        A firewall that restarts does that to all that it kept count of.
        """
        for passing in self._passing:
            passing.clear()

    async def join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until one of its ends hangs up."""
        task = asyncio.current_task()
        assert task is not None
        self._joined.add(task)
        try:
            # A broker that is away refuses, and whoever connects is told so by being hung up on.
            with suppress(*BROKEN):
                there, back = await asyncio.open_connection("127.0.0.1", self.upstream)
                await self._carry((reader, writer), (there, back))
        finally:
            await _hang_up(writer)
            self._joined.discard(task)

    async def close(self) -> None:
        """Carry no connection any more."""
        for task in self._joined:
            task.cancel()
        await asyncio.gather(*self._joined, return_exceptions=True)

    async def _carry(self, here: End, there: End) -> None:
        passing = asyncio.Event()
        passing.set()
        self._passing.add(passing)
        ways = {
            asyncio.ensure_future(self._requests(here[0], there[1], passing)),
            asyncio.ensure_future(_answers(there[0], here[1], passing)),
        }
        try:
            ended, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ended:
                way.result()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._passing.discard(passing)
            await _hang_up(there[1])

    async def _requests(self, reader: asyncio.StreamReader, back: asyncio.StreamWriter, passing: asyncio.Event) -> None:
        while True:
            size = await reader.readexactly(SIZE_BYTES)
            request = await reader.readexactly(int.from_bytes(size, "big"))
            if int.from_bytes(request[:KEY_BYTES], "big") == FETCH:
                await self._fetching.wait()
            await passing.wait()
            back.write(size + request)
            await back.drain()


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(*BROKEN):
        await writer.wait_closed()


async def _answers(there: asyncio.StreamReader, writer: asyncio.StreamWriter, passing: asyncio.Event) -> None:
    while answer := await there.read(CHUNK_BYTES):
        await passing.wait()
        writer.write(answer)
        await writer.drain()


@asynccontextmanager
async def gate(port: int, upstream: int) -> AsyncIterator[Gate]:
    """A gate for as long as it is entered."""
    way = Gate(port, upstream)
    server = await asyncio.start_server(way.join, "127.0.0.1", port)
    try:
        yield way
    finally:
        server.close()
        await way.close()
