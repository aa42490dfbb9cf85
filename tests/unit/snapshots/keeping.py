"""A worker's snapshots in a directory, and the partitions that they come from."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from statemachine.partition import PartitionState
from streams.errors import OwnershipLost
from streams.snapshots.marks import Marks
from streams.snapshots.outcome import Outcome
from streams.snapshots.shelf import Shelf
from streams.snapshots.snapshot import Snapshot
from streams.snapshots.snapshots import Pace, Snapshots
from streams.snapshots.store import Store
from tests.unit.snapshots.logs import TOPIC, Life, Record, fill, snapshot_at, value_of

SELDOM: Final = Pace(3600.0, 1_000_000)
OFTEN: Final = Pace(0.02, 1_000_000)
EVERY_RECORD: Final = Pace(3600.0, 1)

Warnings = list[Any]


class Partitions:
    """The partitions that a worker has at hand, as their snapshots come from there.

    Attributes:
        lives: their logs.
        asked: the partitions of which a snapshot was asked.
        lost: those that turned out to be another worker's.
        takes_s: how long a snapshot takes, in seconds.
    """

    takes_s = 0.0

    def __init__(self, **lives: Life) -> None:
        self.lives = {int(number.removeprefix("p")): life for number, life in lives.items()}
        self.asked: list[int] = []
        self.lost: set[int] = set()

    def positions(self) -> Mapping[int, int]:
        return {number: len(life.records) - 1 for number, life in self.lives.items()}

    async def snapshot(self, partition: int) -> Snapshot | None:
        self.asked.append(partition)
        await asyncio.sleep(self.takes_s)
        if partition in self.lost:
            raise OwnershipLost
        records = self.lives[partition].records
        return snapshot_at(records, len(records) - 1, partition)


def life_of(*tenants: str) -> Life:
    life = Life()
    life.claimed()
    for tenant in tenants:
        life.happens(tenant)
    return life


def marks_of(logs: Mapping[int, Sequence[Record]]) -> Marks:
    """Reads records of logs in memory."""

    def read(offsets: Mapping[int, int]) -> Mapping[int, bytes | None]:
        return {
            partition: value_of(logs[partition][offset]) if offset < len(logs[partition]) else None
            for partition, offset in offsets.items()
        }

    return read


class Keeper(Snapshots):
    """Snapshots in a directory.

    Attributes:
        counts: what became of them.
    """

    def __init__(self, directory: Path, marks: Marks, pace: Pace = SELDOM) -> None:
        self.counts: Counter[Outcome] = Counter()
        super().__init__(Store(directory), TOPIC, marks, pace, lambda outcome: self.counts.update([outcome]))


@asynccontextmanager
async def keeping(snapshots: Snapshots, partitions: Partitions) -> AsyncIterator[None]:
    """Snapshots are written, for as long as it is entered."""
    running = asyncio.create_task(snapshots.run(partitions))
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def named(logs: Warnings, event: str) -> list[Any]:
    return [line for line in logs if line["event"] == event]


async def loaded(directory: Path, marks: Marks, *partitions: int) -> dict[int, PartitionState]:
    """What a later worker finds."""
    snapshots = Keeper(directory, marks)
    await snapshots.open()
    found = await snapshots.load(partitions)
    await snapshots.close()
    return found


async def kept(directory: Path, *offsets: int, life: Life) -> None:
    """A worker has left snapshots of a partition at these offsets behind."""
    """Snapshots at ``offsets`` are on the disk."""
    store = Store(directory)
    store.open()
    for offset in offsets:
        fill(Shelf(store, TOPIC), snapshot_at(life.records, offset))
    store.close()
