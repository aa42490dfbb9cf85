"""A served worker without a worker: what it answers from is what a test says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import aiohttp

from statemachine.state import TenantState
from streams.metrics.metrics import Metrics
from streams.metrics.rebuild import PartitionProgress
from streams.web.server import WebServer

LOOPBACK = "127.0.0.1"


class Answer(NamedTuple):
    """What came back.

    Attributes:
        status: of HTTP.
        headers: by name.
        text: the body.
        body: the body read as JSON; None where it is not.
    """

    status: int
    headers: Any
    text: str
    body: Any


class Place:
    """A worker's metrics and how far it is.

    Attributes:
        assigned: what the group has assigned.
        states: of its tenants.
        failure: raised instead of saying how far it is.
        metrics: its metrics.
    """

    def __init__(self) -> None:
        self.assigned: Sequence[PartitionProgress] | None = None
        self.states: list[TenantState] = []
        self.failure: Exception | None = None
        self.metrics = Metrics(region="local", worker="w1", states=lambda: self.states, readiness=self)

    def partitions(self) -> Sequence[PartitionProgress] | None:
        if self.failure is not None:
            raise self.failure
        return self.assigned

    def server(self, host: str = LOOPBACK, port: int = 0) -> WebServer:
        """Not started."""
        return WebServer(host, port, self, self.metrics)

    @asynccontextmanager
    async def served(self, host: str = LOOPBACK, port: int = 0) -> AsyncIterator[str]:
        """The server's URL, for as long as it is entered."""
        server = self.server(host, port)
        await server.start()
        try:
            assert server.url is not None
            yield server.url
        finally:
            await server.close()


async def ask(url: str, method: str = "GET", **headers: str) -> Answer:
    """Ask once, over a connection of its own."""
    async with aiohttp.ClientSession() as session, session.request(method, url, headers=headers) as response:
        is_json = response.content_type == "application/json" and method != "HEAD"
        body = await response.json() if is_json else None
        return Answer(response.status, response.headers, await response.text(), body)
