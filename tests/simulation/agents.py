"""Faust's side of an agent: the app that takes it, its stream, and the events that come through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

from streams.engine.app import RUNS_BUFFERED_MAX
from tests.simulation.consumer import SimulatedConsumer


class AgentEvent:
    """A run on its way through an agent's stream, as Faust wraps it."""

    def __init__(self, message: Any, consumer: SimulatedConsumer) -> None:
        self.message = message
        self.value = message.value
        self._consumer = consumer

    def ack(self) -> None:
        """It is done with."""
        self._consumer.ack(self.message)


class AgentStream:
    """An agent's stream: what another generation fetched is dropped without a word, as Faust does."""

    def __init__(self, consumer: SimulatedConsumer) -> None:
        self.queue: asyncio.Queue[Any] = asyncio.Queue(RUNS_BUFFERED_MAX)
        self._consumer = consumer

    def noack(self) -> AgentStream:
        """Acknowledged by hand."""
        return self

    async def events(self) -> AsyncIterator[AgentEvent]:
        """What comes, for ever."""
        while True:
            message = await self.queue.get()
            if message.generation_id == self._consumer.app.consumer_generation_id:
                self._consumer._unacked_messages.add(message)
                yield AgentEvent(message, self._consumer)

    def clear(self) -> None:
        """Drop what nobody took."""
        while not self.queue.empty():
            self.queue.get_nowait()


class AgentApp:
    """What `Engine` makes of Faust: it names topics and takes agents."""

    def __init__(self) -> None:
        self.agents: dict[str, Callable[[Any], Awaitable[None]]] = {}

    def agent(self, topic: str, name: str) -> Callable[[Callable[[Any], Awaitable[None]]], None]:
        """An agent reads a topic."""
        del name
        return partial(self.agents.__setitem__, topic)

    def topic(self, name: str, **_: Any) -> str:
        """A topic is its name."""
        return name
