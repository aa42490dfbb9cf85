"""Loading: the newest snapshot of a partition that is beyond doubt, compared with the log it claims to be of."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping

import structlog

from statemachine.partition import PartitionState
from streams.snapshots.disk import Disk
from streams.snapshots.doubt import Doubt
from streams.snapshots.encoding import Heading, Place, record_hash
from streams.snapshots.marks import Marks
from streams.snapshots.outcome import Counted, Outcome
from streams.snapshots.shelf import SLOTS

log = structlog.get_logger(__name__)

Found = dict[int, PartitionState]
Newest = dict[int, tuple[Place, Heading]]


class Loading:
    """Loads snapshots.

    Args:
        disk: where they are.
        marks: reads single records of the log.
        counted: told of what becomes of snapshots.
    """

    def __init__(self, disk: Disk, marks: Marks, counted: Counted) -> None:
        self._disk = disk
        self._marks = marks
        self._counted = counted

    async def load(self, partitions: Iterable[int], found: Found) -> None:
        """Add the states of ``partitions`` to ``found``, of which there is a snapshot.

        A snapshot in doubt is deleted with a warning; the one in the partition's other slot is older and is tried next.

        Raises:
            StoreFailed: they cannot be read.
        """
        for _ in SLOTS:
            newest = await self._newest([partition for partition in partitions if partition not in found])
            marks = await self._ask_log(newest) if newest else None
            if marks is None:
                return
            for partition, (place, heading) in newest.items():
                try:
                    compare(heading, marks.get(partition))
                    found[partition] = await self._read(place, heading)
                except Doubt as doubt:
                    await self._disk.discard(place, str(doubt))

    async def _newest(self, partitions: Iterable[int]) -> Newest:
        newest: Newest = {}
        for partition in partitions:
            for place in self._disk.shelf.places(partition):
                heading = await self._disk.heading(place)
                if heading is not None and (partition not in newest or heading.folded > newest[partition][1].folded):
                    newest[partition] = (place, heading)
        return newest

    async def _ask_log(self, newest: Newest) -> Mapping[int, bytes | None] | None:
        """The records at the snapshots' offsets; None where Kafka does not say."""
        offsets = {partition: heading.folded for partition, (_, heading) in newest.items()}
        try:
            return await asyncio.to_thread(self._marks, offsets)
        except Exception as error:  # noqa: BLE001  whatever it is, the log is folded from its beginning instead
            log.warning("snapshots.unverified", error=str(error), consequence="the whole log is folded")
            return None

    async def _read(self, place: Place, heading: Heading) -> PartitionState:
        begun = time.monotonic()
        reading = self._disk.shelf.read(place, heading)
        while not await self._disk.do(reading.step):
            pass
        await self._disk.do(self._disk.shelf.was_read, reading)
        self._counted(Outcome.LOADED)
        seconds = round(time.monotonic() - begun, 3)
        where = {"partition": place.partition, "offset": heading.folded}
        log.info("snapshot.loaded", **where, tenants=heading.tenants, seconds=seconds)
        return reading.state()


def compare(heading: Heading, value: bytes | None) -> None:
    """See that a snapshot is one of the log whose record at its offset is ``value``.

    Raises:
        Doubt: it is not.
    """
    if value is None:
        raise Doubt(f"it goes up to offset {heading.folded}, and the log does not reach so far")
    if record_hash(value) != heading.last:
        raise Doubt(f"it is foreign: the log has another record at offset {heading.folded}")
