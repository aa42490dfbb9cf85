"""How long a consumer waits for a broker's answer before it connects anew.

aiokafka has one bound for every request, and Faust makes that 90 s, since joining a group may take long. A connection
whose other end is gone without a word keeps a worker out of its group for as long, and every worker at once where
something between forgot all connections. What is answered at once has a bound of its own here; heartbeats are sent all
the time, so that they tell.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiokafka.conn import CloseReason
from aiokafka.errors import RequestTimedOutError
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.group import JoinGroupRequest, SyncGroupRequest

LONG: Final = (FetchRequest, JoinGroupRequest, SyncGroupRequest)
"""What may take long where all is well: as much as a slow link takes for records, and as the other members take."""


def bound_requests(client: Any, bound_s: float) -> None:
    """Give up what a broker does not answer in time, and with it all connections to that broker.

    Whoever asked is told what aiokafka tells after its own bound, and asks again over a new connection.

    Args:
        client: aiokafka's, of a consumer.
        bound_s: how long an answer may take, in seconds, connecting included.
    """
    send = client.send

    async def bounded(node: Any, request: Any, **options: Any) -> Any:
        if isinstance(request, LONG):
            return await send(node, request, **options)
        try:
            async with asyncio.timeout(bound_s):
                return await send(node, request, **options)
        except TimeoutError:
            _hang_up(client, node)
            raise RequestTimedOutError from None

    client.send = bounded


def _hang_up(client: Any, node: Any) -> None:
    """A fetch has a connection of its own to the same broker, and no bound: it would wait for as long as before."""
    for (other, _), connection in list(client._conns.items()):  # noqa: SLF001  aiokafka has no method for that
        if other == node:
            connection.close(reason=CloseReason.CONNECTION_TIMEOUT)
