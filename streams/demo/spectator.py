"""Watches the log beside the story: tells every event as it happens, and knows who holds which partition."""

from __future__ import annotations

import asyncio
import time
from typing import Final, NamedTuple

from statemachine.events import Claimed, Event
from streams.client.client import ConnectClient
from streams.demo.narrator import Narrator
from streams.history import HistoryEntry

EVENTS_MAX: Final = 10_000
"""Events that a demonstration can have; it has fewer than a hundred."""


class Holding(NamedTuple):
    """A claim that counts, as it was seen.

    Attributes:
        worker: whose.
        claim: its offset.
        seen_at: monotonic time in seconds.
    """

    worker: str
    claim: int
    seen_at: float


class Spectator:
    """Follows the log from its beginning.

    Attributes:
        holdings: partition → its last claim.
        events: tenants' events so far.
    """

    def __init__(self, client: ConnectClient, narrator: Narrator) -> None:
        self.holdings: dict[int, Holding] = {}
        self.events: list[Event] = []
        self._narrator = narrator
        self._task = asyncio.create_task(self._watch(client))

    def saw(self, tenant: str, type_: str) -> bool:
        """Whether an event of this type happened to the tenant.

        Raises:
            TenantConnectError: watching failed.
        """
        if self._task.done():
            self._task.result()
        return any(event.tenant == tenant and event.data.type == type_ for event in self.events)

    async def close(self) -> None:
        """Stop watching."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self, client: ConnectClient) -> None:
        async for entry in client.watch(start="start"):
            self._narrator.event(entry)
            self._note(entry)

    def _note(self, entry: HistoryEntry) -> None:
        if isinstance(entry.event, Claimed):
            self.holdings[entry.partition] = Holding(entry.event.worker, entry.offset, time.monotonic())
        elif len(self.events) < EVENTS_MAX:
            self.events.append(entry.event)
