"""A region whose log a test writes, and what workers make of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from unittest import mock

import msgspec

from statemachine import PartitionState
from statemachine.events import Claimed, ConnectPaused, ConnectResumed
from statemachine.state import TenantState
from streams.kafka.clients import consumer_configuration, producer
from streams.log.reader import Record, open_consumer, read, stretch
from streams.registry.partition import fold_records
from streams.registry.registry import Registry
from streams.service.worker import Worker
from streams.settings import Settings
from streams.snapshots.directory import directory_of
from streams.snapshots.shelf import Shelf
from streams.snapshots.snapshot import snapshot_of
from streams.snapshots.store import Store
from streams.topics import Topics
from streams.wire.event import Origin, encode_claim, encode_event, source_of
from tests.support.waiting import DEADLINE_S


def everything(state: PartitionState) -> bytes:
    """All of a partition as bytes; the order of tenants does not matter."""
    known = {name: getattr(state, name) for name in ("partition", "folded", "claim", "command_offset", "void")}
    return msgspec.json.encode([known, sorted(state.origins.items()), sorted(state.tenants.items())])


class Place:
    """One region's log and its worker's directory.

    Attributes:
        topic: the events topic.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.topic = Topics(settings).events
        self._states: dict[int, PartitionState] = {}

    def claims(self, partition: int, worker: str = "w0", generation: int = 0) -> None:
        """A worker claims the partition."""
        self._append(partition, encode_claim(Claimed(worker, generation), source=self._source(partition), time=_now()))

    def happens(self, partition: int, *tenants: str) -> None:
        """Each tenant is paused, or resumed where it is paused, by the partition's owner."""
        for tenant in tenants:
            state = self.state(partition)
            assert state.claim is not None
            self._event(partition, state.tenant(tenant), state.claim.offset)

    def void(self, partition: int, *tenants: str, claim: int = 999_999) -> None:
        """Somebody who does not own the partition writes, under a claim that never was or is over."""
        for tenant in tenants:
            self._event(partition, TenantState(tenant), claim)

    def garbage(self, partition: int) -> None:
        """Somebody writes what is no record of this log."""
        self._append(partition, b"garbage", foldable=False)

    def state(self, partition: int) -> PartitionState:
        """What the test wrote, folded."""
        return self._states.setdefault(partition, PartitionState(partition))

    def log(self, partition: int) -> list[Record]:
        """What is on the log."""
        with open_consumer(consumer_configuration(self.settings, "place")) as consumer:
            return list(read(consumer, self.topic, [stretch(consumer, self.topic, partition)]))

    def folded(self, partition: int, end: int | None = None) -> PartitionState:
        """What a reader makes of the log up to ``end``, or of all of it."""
        state = PartitionState(partition)
        fold_records(state, self.topic, self.log(partition)[:end])
        return state

    def keep(self, partition: int, worker: str = "w1") -> None:
        """A snapshot of the log as it is now is on the disk of a worker."""
        log = self.log(partition)
        with self.shelf(worker) as shelf:
            filling = shelf.fill(snapshot_of(self.folded(partition), log[-1].value or b""))
            assert filling is not None
            while not filling.step():
                pass

    def kept(self, partition: int, worker: str = "w1") -> int | None:
        """Offset of the newest snapshot on a worker's disk, None where there is none."""
        with self.shelf(worker) as shelf:
            headings = [shelf.heading(place) for place in shelf.places(partition)]
        return max((heading.folded for heading in headings if heading is not None), default=None)

    @contextmanager
    def shelf(self, worker: str = "w1") -> Iterator[Shelf]:
        """A worker's snapshots, while it does not run."""
        store = Store(directory_of(self.settings.model_copy(update={"worker_name": worker})))
        store.open()
        try:
            yield Shelf(store, self.topic)
        finally:
            store.close()

    def _source(self, partition: int) -> str:
        return source_of(self.settings.region, partition)

    def _event(self, partition: int, state: TenantState, claim: int) -> None:
        origin = Origin(self._source(partition), claim, "somebody")
        data = ConnectResumed() if state.pause else ConnectPaused("r", "ada")
        self._append(partition, encode_event(state, data, _now(), origin)[1], key=state.tenant)

    def _append(self, partition: int, value: bytes, *, key: str | None = None, foldable: bool = True) -> None:
        client = producer(self.settings)
        client.produce(self.topic, key=key, value=value, partition=partition)
        assert client.flush(DEADLINE_S) == 0
        if foldable:
            state = self.state(partition)
            fold_records(state, self.topic, [Record(partition, state.folded + 1, 0, None, value)])


@contextmanager
def folding() -> Iterator[dict[int, list[int]]]:
    """The offsets that are folded from the log per partition, each once, while it is entered."""
    folded: dict[int, list[int]] = {}
    fold = Registry._fold

    def noted(registry: Registry, state: PartitionState, records: list[Record]) -> None:
        fresh = [record.offset for record in records if record.offset > state.folded]
        folded.setdefault(state.partition, []).extend(fresh)
        fold(registry, state, records)

    with mock.patch.object(Registry, "_fold", noted):
        yield folded


async def owned(worker: Worker) -> dict[int, PartitionState]:
    """The states of all partitions that a worker owns, as the log has them."""
    found = {}
    for number, partition in worker._registry.owned.items():
        snapshot = await partition.snapshot()
        state = PartitionState(number)
        for name in ("folded", "claim", "command_offset", "void"):
            setattr(state, name, getattr(snapshot, name))
        state.origins, state.tenants = dict(snapshot.origins), dict(snapshot.tenants)
        found[number] = state
    return found


def _now() -> datetime:
    return datetime.now(UTC)
