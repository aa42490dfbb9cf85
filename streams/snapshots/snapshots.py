"""The snapshots of one worker: written while it works, loaded when it is given a partition."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Final, NamedTuple, Protocol

import structlog

from statemachine.partition import NOTHING_FOLDED
from streams.errors import OwnershipLost, SnapshotsLocked
from streams.snapshots.directory import sweep
from streams.snapshots.disk import Disk
from streams.snapshots.doubt import StoreFailed, StoreLocked
from streams.snapshots.loading import Found, Loading
from streams.snapshots.marks import Marks
from streams.snapshots.outcome import Counted
from streams.snapshots.snapshot import Snapshot
from streams.snapshots.store import Store
from streams.snapshots.writing import Writing

log = structlog.get_logger(__name__)

LOOK_INTERVAL_S: Final = 1.0
"""How often it is looked at which snapshot is due, and how soon a partition has its turn again, whatever it is."""

LOAD_TIMEOUT_S: Final = 20.0
"""How long all snapshots of an assignment may take; of what is not there by then, the whole log is folded."""


class Pace(NamedTuple):
    """How often snapshots are written.

    Attributes:
        interval_s: after so many seconds, where anything was appended; also how long a disk that failed is left alone.
        records_max: after so many records, without waiting for that.
    """

    interval_s: float
    records_max: int


class Source(Protocol):
    """Where snapshots come from."""

    def positions(self) -> Mapping[int, int]:
        """Per partition at hand, the offset up to which it is folded and acknowledged."""

    async def snapshot(self, partition: int) -> Snapshot | None:
        """The partition as it is now, once all of that is acknowledged; None where it is not at hand any more.

        Raises:
            OwnershipLost: it turned out to be another worker's.
        """


class Snapshots:
    """Keeps snapshots of partitions in a store.

    Args:
        store: where; nobody else uses it.
        topic: the events topic.
        marks: reads single records of it.
        pace: how often they are written.
        counted: told of what becomes of them.
    """

    def __init__(self, store: Store, topic: str, marks: Marks, pace: Pace, counted: Counted) -> None:
        self._directory = store.directory
        self._pace = pace
        self._disk = Disk(store, topic, pace.interval_s, counted)
        self._loading = Loading(self._disk, marks, counted)
        self._writing = Writing(self._disk, counted)
        self._written: dict[int, int] = {}
        self._tried: dict[int, float] = {}
        self._released: dict[int, Snapshot] = {}
        self._loaded: set[int] = set()
        self._distrusted: set[int] = set()
        self._wake = asyncio.Event()

    async def open(self) -> None:
        """Open the store; where it cannot be opened, go on without.

        Raises:
            SnapshotsLocked: another process has it open.
        """
        try:
            await self._disk.ready()
            for abandoned in await self._disk.do(sweep, self._directory, time.time()):
                log.info("snapshots.abandoned", directory=str(abandoned), consequence="deleted")
        except StoreLocked as error:
            raise SnapshotsLocked(f"{self._directory} is open in another process") from error
        except StoreFailed as error:
            self._disk.failed("opening", error)

    async def load(self, partitions: Iterable[int]) -> Found:
        """The states of ``partitions`` of which there is a snapshot, as far as it is beyond doubt."""
        wanted = sorted(partitions)
        for partition in wanted:
            self._begin_anew(partition)
        found: Found = {}
        try:
            async with asyncio.timeout(LOAD_TIMEOUT_S):
                await self._disk.ready()
                await self._loading.load(wanted, found)
        except TimeoutError:
            self._disk.failed("reading", StoreFailed(f"not done within {LOAD_TIMEOUT_S:.0f} s"))
        except StoreFailed as error:
            self._disk.failed("reading", error)
        for partition, state in found.items():
            self._written[partition] = state.folded
            self._loaded.add(partition)
        return found

    def release(self, snapshot: Snapshot) -> None:
        """A partition is let go: this was its last state. It is written in the background."""
        if snapshot.partition not in self._distrusted:
            self._released[snapshot.partition] = snapshot
            self._wake.set()

    def distrust(self, partition: int) -> bool:
        """The log does not follow from a partition's state; says whether that came from a snapshot.

        The partition's snapshots are deleted then, so that the next start folds the whole log.
        """
        if partition not in self._loaded:
            return False
        self._distrusted.add(partition)
        self._released.pop(partition, None)
        self._writing.abandon(partition)
        return True

    async def run(self, source: Source) -> None:
        """Write what is due, for ever."""
        while True:
            self._wake.clear()
            await self._write_released(rests=True)
            partition = self._due(source.positions())
            if partition is not None:
                await self._write_due(source, partition)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_INTERVAL_S):
                    await self._wake.wait()

    async def close(self) -> None:
        """Write what was released, delete what is distrusted, and close the store."""
        await self._write_released(rests=False)
        with suppress(StoreFailed):
            for partition in self._distrusted:
                for place in self._disk.shelf.places(partition):
                    await self._disk.discard(place, "the log does not follow from it")
        await self._disk.close()

    def _begin_anew(self, partition: int) -> None:
        """Nothing of a partition's past is written any more."""
        self._released.pop(partition, None)
        self._loaded.discard(partition)
        self._written[partition] = NOTHING_FOLDED
        self._writing.abandon(partition)

    async def _write_released(self, *, rests: bool) -> None:
        while self._released:
            snapshot = self._released.pop(next(iter(self._released)))
            if not self._disk.rests:
                await self._write(snapshot, rests=rests)

    async def _write_due(self, source: Source, partition: int) -> None:
        with suppress(OwnershipLost):
            snapshot = await source.snapshot(partition)
            if snapshot is not None and partition not in self._distrusted:
                await self._write(snapshot, rests=True)

    async def _write(self, snapshot: Snapshot, *, rests: bool) -> None:
        if await self._writing.write(snapshot, rests=rests):
            self._written[snapshot.partition] = snapshot.folded

    def _due(self, positions: Mapping[int, int]) -> int | None:
        """The partition that waits longest for a snapshot that is due, None where none is."""
        if self._disk.rests:
            return None
        now = asyncio.get_running_loop().time()
        waiting = [partition for partition, folded in positions.items() if self._is_due(partition, folded, now)]
        if not waiting:
            return None
        longest = min(waiting, key=self._tried.__getitem__)
        self._tried[longest] = now
        return longest

    def _is_due(self, partition: int, folded: int, now: float) -> bool:
        behind = folded - self._written.get(partition, NOTHING_FOLDED)
        waits_s = LOOK_INTERVAL_S if behind >= self._pace.records_max else max(LOOK_INTERVAL_S, self._pace.interval_s)
        return behind > 0 and now - self._tried.setdefault(partition, now) >= waits_s
