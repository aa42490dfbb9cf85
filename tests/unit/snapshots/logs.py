"""Logs for tests of snapshots: records in memory, snapshots of them at any offset, and what a store gives back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from statemachine import PartitionState
from statemachine.events import Claimed, ConnectPaused, ConnectResumed, Event, TenantEventData
from statemachine.state import TenantState
from streams.snapshots.doubt import Doubt
from streams.snapshots.loading import compare
from streams.snapshots.shelf import Filling, Reading, Shelf
from streams.snapshots.snapshot import Snapshot, snapshot_of
from streams.snapshots.store import Store
from tests.support.scenario import START, following

TOPIC: Final = "connect.local.events"
Record = Claimed | Event


def value_of(record: Record) -> bytes:
    """What stands for the record's bytes."""
    return repr(record).encode()


def folded(records: Sequence[Record], partition: int = 0) -> PartitionState:
    """The partition, read from the beginning."""
    return folded_on(PartitionState(partition), records)


def folded_on(state: PartitionState, records: Sequence[Record]) -> PartitionState:
    """The partition, read on from where ``state`` is."""
    for offset in range(state.folded + 1, len(records)):
        state.fold(offset, records[offset])
    return state


def snapshot_at(records: Sequence[Record], offset: int, partition: int = 0) -> Snapshot:
    """The snapshot of a log at an offset."""
    return snapshot_of(folded(records[: offset + 1], partition), value_of(records[offset]))


def everything(state: PartitionState) -> bytes:
    """All of a partition as bytes, times with their offset from UTC; the order of tenants does not matter."""
    known = {name: getattr(state, name) for name in ("partition", "folded", "claim", "command_offset", "void")}
    origins, tenants = sorted(state.origins.items()), sorted(state.tenants.items())
    return msgspec.json.encode([known, origins, tenants])


def fill(shelf: Shelf, snapshot: Snapshot) -> Filling | None:
    """Write a snapshot to its end."""
    filling = shelf.fill(snapshot)
    if filling is not None:
        while not filling.step():
            pass
        shelf.was_filled(filling)
    return filling


def load(shelf: Shelf, records: Sequence[Record], partition: int = 0) -> PartitionState | None:
    """The newest snapshot that is beyond doubt, None where there is none."""
    found: list[PartitionState] = []
    for place in shelf.places(partition):
        try:
            heading = shelf.heading(place)
            if heading is None:
                continue
            compare(heading, value_of(records[heading.folded]) if heading.folded < len(records) else None)
            reading = shelf.read(place, heading)
            read_out(reading)
            shelf.was_read(reading)
            found.append(reading.state())
        except Doubt:
            continue
    return max(found, key=lambda state: state.folded, default=None)


def read_out(reading: Reading) -> None:
    """Read to the end."""
    while not reading.step():
        pass


def contents(store: Store) -> dict[bytes, bytes]:
    """All keys and values."""
    return dict(store.read(b"", b"\xff" * 16, 1_000_000))


class Life:
    """A log that is written as tests need it: claims, and tenants that are paused and resumed."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.tenants: dict[str, TenantState] = {}
        self.claim = -1
        self._now: datetime = START

    def claimed(self, generation: int = 1, worker: str = "w1") -> None:
        self.records.append(Claimed(worker, generation))
        self.claim = len(self.records) - 1

    def happens(self, tenant: str) -> None:
        """The tenant is paused, or resumed where it is paused."""
        before = folded(self.records).tenant(tenant)
        self._append(before, ConnectResumed() if before.pause else ConnectPaused("r", "ada"), self.claim)

    def void(self, tenant: str = "zombie") -> None:
        """Somebody writes whose claim does not count."""
        self._append(TenantState(tenant), ConnectPaused("r", "nobody"), -1)

    def _append(self, state: TenantState, data: TenantEventData, claim: int) -> None:
        self._now += timedelta(seconds=1)
        self.records.append(following(state, data, at=self._now, claim=claim))
