"""An events topic in memory: what workers append, and what others smuggle in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from statemachine import TenantState, fold
from statemachine.events import Claimed, Event, TenantEventData
from streams.kafka.partitioner import partition_of
from streams.log.reader import Record, Stretch
from streams.wire.event import Origin, encode_claim, encode_event, source_of

TOPIC: Final = "connect.local.events"
REGION: Final = "local"
PARTITIONS: Final = 2
START: Final = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
EPOCH: Final = datetime.fromtimestamp(0, UTC)


def tenant_in(partition: int, number: int = 0) -> str:
    """A tenant that belongs to the partition."""
    return [name for name in (f"t{count}" for count in range(100)) if partition_of(name, PARTITIONS) == partition][
        number
    ]


class MemoryTail:
    """A live reading of a topic in memory."""

    def __init__(self, log: MemoryLog, wanted: Sequence[Stretch]) -> None:
        self._log = log
        self._next = {stretch.partition: stretch.first for stretch in wanted}
        self.closed = False

    def poll(self) -> list[Record]:
        found = [
            record for partition, offset in self._next.items() for record in self._log.partitions[partition][offset:]
        ]
        for record in found:
            self._next[record.partition] = record.offset + 1
        return found

    def close(self) -> None:
        self.closed = True


class MemoryLog:
    """An events topic that is a source, too. Each record is a second after the one before.

    Attributes:
        partitions: the records.
        now: time of the next record.
        ends: where partitions end, if not behind their last record.
    """

    def __init__(self) -> None:
        self.partitions: defaultdict[int, list[Record]] = defaultdict(list)
        self.now = START
        self.ends: dict[int, int] = {}
        self.topic = TOPIC
        self._claims: dict[int, int] = {}
        self._states: dict[str, TenantState] = {}

    def stretches(self) -> list[Stretch]:
        return [Stretch(number, 0, self.ends.get(number, len(self.partitions[number]))) for number in range(PARTITIONS)]

    def records(self, wanted: Sequence[Stretch]) -> Iterator[Record]:
        for stretch in wanted:
            yield from (record for record in self.partitions[stretch.partition] if record.offset < stretch.end)

    def tail(self, wanted: Sequence[Stretch]) -> MemoryTail:
        return MemoryTail(self, wanted)

    def claim(self, partition: int = 0, *, worker: str = "w1", generation: int = 1, key: bytes | None = None) -> int:
        """A worker takes the partition; gives the claim's number."""
        claim = Claimed(worker, generation)
        body = encode_claim(claim, source=source_of(REGION, partition), time=self.now)
        self._claims[partition] = self.put(partition, key, body)
        return self._claims[partition]

    def append(self, tenant: str, *payloads: TenantEventData, command_offset: int | None = None) -> None:
        """The owner of the tenant's partition writes events."""
        for payload in payloads:
            state = self.state(tenant)
            event, body = self.encode(tenant, payload, command_offset=command_offset)
            self.put(partition_of(tenant, PARTITIONS), tenant.encode(), body)
            self._states[tenant] = fold(state, event)

    def encode(
        self,
        tenant: str,
        payload: TenantEventData,
        *,
        state: TenantState | None = None,
        claim: int | None = None,
        partition: int | None = None,
        command_offset: int | None = None,
    ) -> tuple[Event, bytes]:
        """The tenant's next event, or one that somebody else makes of another state, claim or partition."""
        place = partition_of(tenant, PARTITIONS) if partition is None else partition
        number = self._claims.get(place, -1) if claim is None else claim
        origin = Origin(source_of(REGION, place), number, "effect:test", command_offset)
        return encode_event(self.state(tenant) if state is None else state, payload, self.now, origin)

    def state(self, tenant: str) -> TenantState:
        """The tenant as its owner knows it."""
        return self._states.get(tenant, TenantState(tenant))

    def lose(self, event: Event) -> None:
        """The owner goes on from an event that is not on the log."""
        self._states[event.tenant] = fold(self.state(event.tenant), event)

    def put(self, partition: int, key: bytes | None, value: bytes | None) -> int:
        """Append any record; gives its offset."""
        offset = len(self.partitions[partition])
        timestamp_ms = (self.now - EPOCH) // timedelta(milliseconds=1)
        self.partitions[partition].append(Record(partition, offset, timestamp_ms, key, value))
        self.now += timedelta(seconds=1)
        return offset
