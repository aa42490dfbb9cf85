"""Rows of the demonstration: written into tenants' databases, and looked for among the broadcasts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from streams.client.broadcasts import BroadcastFollower
from streams.devstack.rows import send_rows
from streams.devstack.tenant_database import Superuser
from streams.settings import Settings
from streams.wire.broadcast import Broadcast

TOPIC: Final = "room:1"
EVENT: Final = "greeting"


async def send(superuser: Superuser, database: str, *messages: str) -> None:
    """What an application does: it sends messages in its own database, one transaction each."""
    await send_rows(superuser, database, TOPIC, EVENT, [json.dumps({"message": message}) for message in messages])


class Listener:
    """Hears what is broadcast.

    Args:
        follower: reads the broadcasts.
    """

    def __init__(self, follower: BroadcastFollower) -> None:
        self._follower = follower
        self._heard: dict[str, Broadcast] = {}

    async def heard(self, *messages: str) -> list[Broadcast] | None:
        """The broadcasts of these messages, each once; None while one of them is missing."""
        for broadcast in await asyncio.to_thread(self._follower.poll):
            self._heard.setdefault(_message(broadcast), broadcast)
        return None if set(messages) - self._heard.keys() else [self._heard[message] for message in messages]


@contextmanager
def listening(settings: Settings) -> Iterator[Listener]:
    """Hear everything that is kept, and what follows."""
    follower = BroadcastFollower(settings, (), "start")
    try:
        yield Listener(follower)
    finally:
        follower.close()


def _message(broadcast: Broadcast) -> str:
    if not isinstance(broadcast.payload, msgspec.Raw):
        return ""
    return str(json.loads(bytes(broadcast.payload)).get("message", ""))
