"""Broadcasts as a gateway hears them: what arrived of each tenant, and whether it came in order."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from streams.client import ConnectClient
from streams.settings import Settings
from streams.wire.broadcast import Broadcast
from streams.wire.lsn import lsn_of
from tests.support.waiting import until


class Heard:
    """Everything that the client gave, in its order."""

    def __init__(self) -> None:
        self._of: defaultdict[str, list[Broadcast]] = defaultdict(list)

    def of(self, tenant: str) -> list[Broadcast]:
        """A tenant's broadcasts so far; each is in the right place."""
        found = self._of[tenant]
        places = [(broadcast.claim, lsn_of(broadcast.lsn), broadcast.ordinal) for broadcast in found]
        assert places == sorted(set(places))
        return found

    def ids(self, tenant: str) -> list[str]:
        """Ids of a tenant's rows so far, each once, in the order in which they arrived first."""
        return list(dict.fromkeys(broadcast.id for broadcast in self.of(tenant)))

    async def has(self, tenant: str, ids: Iterable[str]) -> None:
        """Return when each of these rows has arrived."""
        wanted = set(ids)
        await until(lambda: wanted <= {broadcast.id for broadcast in self._of[tenant]})

    async def follow(self, client: ConnectClient) -> None:
        """Hear everything that is kept, and what follows, for as long as the client is open."""
        async for broadcast in client.broadcasts(start="start"):
            self._of[broadcast.tenant].append(broadcast)


@asynccontextmanager
async def hearing(settings: Settings) -> AsyncIterator[Heard]:
    """Hear a region's broadcasts for as long as it is entered."""
    heard = Heard()
    async with ConnectClient(settings) as client:
        following = asyncio.create_task(heard.follow(client))
        yield heard
    await following
