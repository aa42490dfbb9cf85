"""The router: takes everybody's commands and forwards those that this region serves.

Each region routes for itself: its workers read all commands, forward those of its own tenants, and leave
the rest to the other regions. What leads to nothing is refused here: commands of tenants whose region is mapped
to nothing, and those that need an entry which the catalog does not have. Nothing is refused or left to others but on
an exact reading of the catalog: the view of a moment ago may lack who was put there, or moved here, since.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

from statemachine.errors import RegionUnknown
from statemachine.events import CommandPlace
from statemachine.rejections import Rejection
from streams.catalog.record import CatalogSummary
from streams.catalog.view import CatalogView
from streams.errors import CatalogUnreadable
from streams.log.producer import LogProducer, Receipts
from streams.wire.command import Request, Unreadable, decode_command, encode_command
from streams.worker.admission import refusal
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


class _Known(NamedTuple):
    """A tenant's catalog entry, and the region that serves it; None for no such entry, or region."""

    entry: CatalogSummary | None
    serving: str | None


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
            requests = [(record.offset, self._read(run, record, receipts)) for record in run.commands()]
            await self._be_exact([request for _, request in requests if request is not None])
            for offset, request in requests:
                if request is not None and self._is_ours(request, receipts):
                    partition = place_of(request.tenant, self._map.partitions)
                    origin = CommandPlace(run.partition, offset)
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

    async def _be_exact(self, requests: Iterable[Request]) -> None:
        """Bring the view up to now for tenants with commands that would not be forwarded by what it says."""
        unsure = {request.tenant for request in requests if not self._is_sure(request)}
        await asyncio.gather(*(self._view.record(tenant) for tenant in unsure))

    def _is_sure(self, request: Request) -> bool:
        known = self._known(request.tenant)
        if known is None or known.entry is None or known.serving != self._map.region:
            return False
        return self._refusal(request, known) is None

    def _is_ours(self, request: Request, receipts: Receipts) -> bool:
        """Whether a command is to be forwarded; one that leads to nothing is refused by the region that serves it."""
        known = self._known(request.tenant)
        if known is None:
            return True
        ours = known.entry is None or known.serving in {None, self._map.region}
        refused = self._refusal(request, known) if ours else None
        if refused is not None:
            self._replies.refuse_request(request, refused, receipts)
        return ours and refused is None

    def _refusal(self, request: Request, known: _Known) -> Rejection | None:
        entry, serving = known
        if entry is not None and serving is None:
            message = f"platform region {entry.region!r} of tenant {request.tenant!r} is mapped to no serving region"
            return Rejection(RegionUnknown, message)
        return refusal(request.command, entry)

    def _known(self, tenant: str) -> _Known | None:
        """The tenant's entry and region, as far as the catalog was read; None for an entry that cannot be read."""
        try:
            entry = self._view.summary(tenant)
        except CatalogUnreadable:
            return None
        return _Known(entry, None if entry is None else self._map.serving_region(entry.region))
