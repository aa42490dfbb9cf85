"""The router: takes everybody's commands and forwards those that this region serves.

Each region routes for itself: its workers read all commands, forward those of its own tenants, and leave
the rest to the other regions. Commands of tenants that nobody knows are forwarded too, so that they are
answered; those of tenants whose region is mapped to nothing are refused here.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from statemachine.errors import RegionUnknown
from statemachine.events import CommandPlace
from statemachine.rejections import Rejection
from streams.catalog.view import CatalogView, region_of
from streams.log.producer import LogProducer, Receipts
from streams.wire.command import Request, Unreadable, decode_command, encode_command
from streams.worker.dead_letters import DeadLetters
from streams.worker.places import place_of
from streams.worker.replies import Replies
from streams.worker.run import Fetched, Run


class Map(NamedTuple):
    """Where commands go.

    Attributes:
        region: the serving region of this worker.
        serving_region: platform region → serving region, None where it is mapped to none.
        topic: the region's command topic.
        partitions: its number of partitions.
        value_bytes_max: size at which a command's value is refused.
    """

    region: str
    serving_region: Callable[[str], str | None]
    topic: str
    partitions: int
    value_bytes_max: int


class Router:
    """Forwards runs of commands, in their order per partition.

    Args:
        places: where commands go.
        view: the catalog.
        producer: what forwards them.
        replies: refuses what belongs nowhere.
        dead_letters: parks what cannot be read.
    """

    def __init__(
        self, places: Map, view: CatalogView, producer: LogProducer, replies: Replies, dead_letters: DeadLetters
    ) -> None:
        self._map = places
        self._view = view
        self._producer = producer
        self._replies = replies
        self._dead_letters = dead_letters
        self._turns: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def route(self, run: Run) -> None:
        """Forward a run; returns when all of it is acknowledged."""
        async with self._turns[run.partition]:
            receipts = self._producer.receipts()
            forwarded: defaultdict[int, list[tuple[str | None, bytes]]] = defaultdict(list)
            for record in run.records:
                request = self._read(run, record, receipts)
                if request is not None and await self._is_ours(request, receipts):
                    partition = place_of(request.tenant, self._map.partitions)
                    origin = CommandPlace(run.partition, record.offset)
                    forwarded[partition].append((request.tenant, encode_command(request._replace(origin=origin))))
            acknowledged: list[Awaitable[int]] = [
                self._producer.append(self._map.topic, partition, records) for partition, records in forwarded.items()
            ]
        receipts.seal()
        await asyncio.gather(receipts.delivered, *acknowledged)

    def _read(self, run: Run, record: Fetched, receipts: Receipts) -> Request | None:
        place = f"{run.topic}:{run.partition}:{record.offset}"
        try:
            request = decode_command(record.key, record.value, place, value_bytes_max=self._map.value_bytes_max)
            self._replies.check(request)
        except Unreadable as error:
            self._replies.refuse(error, record.key, receipts)
            self._dead_letters.park(run.topic, run.partition, record, error.error, receipts)
            return None
        return request

    async def _is_ours(self, request: Request, receipts: Receipts) -> bool:
        platform, serving = self._regions(request.tenant)
        if serving is None:
            # Whoever was put into the catalog, or moved there, a moment ago is not refused for what was before.
            await self._view.record(request.tenant)
            platform, serving = self._regions(request.tenant)
        if platform is None:
            return True
        if serving is None:
            message = f"platform region {platform!r} of tenant {request.tenant!r} is mapped to no serving region"
            self._replies.refuse_request(request, Rejection(RegionUnknown, message), receipts)
        return serving == self._map.region

    def _regions(self, tenant: str) -> tuple[str | None, str | None]:
        """The tenant's platform region and the region that serves it, as far as the catalog was read."""
        platform = region_of(self._view, tenant)
        return platform, None if platform is None else self._map.serving_region(platform)
