"""One events partition in its owner's hands: the state, and the only way to change it.

Events are applied at once and sent; they count when the broker has acknowledged them. With a single writer
the acknowledged offsets are contiguous. A gap means that somebody else wrote: the owner reads the gap back
and judges before anything is answered or done. A newer claim in it deposes the owner.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from statemachine.events import Claimed, CommandPlace, Event, TenantEventData
from statemachine.partition import NOTHING_FOLDED, Claim, PartitionState
from statemachine.state import TenantState
from streams.errors import LogCorrupt, OwnershipLost
from streams.log.ends import Ends
from streams.log.producer import LogProducer
from streams.log.reader import Record
from streams.snapshots.snapshot import Snapshot, snapshot_of
from streams.wire.event import Origin, decode_event, encode_event, source_of

Gap = Callable[[int, int, int], list[Record]]
"""Reads (partition, first, end) of the events topic; blocks."""


class Surroundings(NamedTuple):
    """What every owned partition of a worker shares.

    Attributes:
        topic: the events topic.
        region: the serving region.
        producer: where events go.
        ends: the read index.
        gap: reads records back, blocking.
        now: the clock, aware, UTC.
        failed: told of a log that cannot be read or folded.
        observed: told of every event that is applied and sent, with the tenant's state before.
    """

    topic: str
    region: str
    producer: LogProducer
    ends: Ends
    gap: Gap
    now: Callable[[], datetime]
    failed: Callable[[Exception], None]
    observed: Callable[[Event, TenantState], None]


class Cause(NamedTuple):
    """What leads to an event.

    Attributes:
        causation: id of the command, or ``timer:…`` or ``effect:…``.
        command_offset: offset of the command in the region's topic, if it is one.
        place: where that command stands on the topic it was forwarded from, if it was.
    """

    causation: str
    command_offset: int | None = None
    place: CommandPlace | None = None


class Footing(NamedTuple):
    """How far the log is known to have what the owner's state has.

    Attributes:
        folded: offset of the last record known.
        void: number of records up to there that did not count.
        last: value of the record there.
    """

    folded: int
    void: int
    last: bytes


class Flight:
    """Events of one partition on their way to the log, or a question about its end.

    Attributes:
        count: number of events; 0 for a question.
        acknowledged: the last event's offset, as the broker reports it.
        last: value of the last event's record; None for a question.
        landed: the events' offsets once all of them count; for a question, empty once it is answered.
        footing: what is known once it has landed, None before.
        proves: the moment at which the owner's claim counts if it lands, by the event loop's clock in seconds.
    """

    __slots__ = ("acknowledged", "count", "footing", "landed", "last", "proves")

    def __init__(
        self, count: int, acknowledged: asyncio.Future[int], last: bytes | None = None, proves: float | None = None
    ) -> None:
        self.count = count
        self.acknowledged = acknowledged
        self.last = last
        self.proves = acknowledged.get_loop().time() if proves is None else proves
        self.landed: asyncio.Future[Sequence[int]] = acknowledged.get_loop().create_future()
        self.footing: Footing | None = None


class OwnedPartition:
    """The state of a partition that this worker has claimed, and its writer.

    Args:
        state: folded up to the claim, or beyond.
        claim: this worker's claim.
        surroundings: what every owned partition shares.
        last: value of the last record folded.

    Attributes:
        state: all events sent so far applied, acknowledged or not.
        claim: this worker's claim.
        lost: set once a newer claim was found; nothing is written or answered afterwards.
        proved_at: the last moment at which the claim is known to have counted, by the event loop's clock in seconds.
    """

    def __init__(self, state: PartitionState, claim: Claim, surroundings: Surroundings, last: bytes) -> None:
        self.state = state
        self.claim = claim
        self.lost = asyncio.Event()
        self.proved_at = -math.inf
        self._surroundings = surroundings
        self._source = source_of(surroundings.region, state.partition)
        self._footing = Footing(state.folded, state.void, last)
        self._staged: list[tuple[str | None, bytes]] = []
        self._flights: asyncio.Queue[Flight] = asyncio.Queue()
        self._latest: Flight | None = None
        self._confirming = asyncio.get_running_loop().create_task(self._confirm())

    def append(self, state: TenantState, data: TenantEventData, now: datetime, cause: Cause) -> TenantState:
        """Apply an event to the tenant whose state is ``state`` and stage it for `send`; gives the new state."""
        origin = Origin(self._source, self.claim.offset, *cause)
        event, body = encode_event(state, data, now, origin)
        self._staged.append((state.tenant, body))
        after = self.state.apply(event)
        self._surroundings.observed(event, state)
        return after

    def send(self) -> Flight:
        """Send what is staged; there must be something."""
        staged, self._staged = self._staged, []
        if self.lost.is_set():
            self._latest = Flight(len(staged), asyncio.get_running_loop().create_future())
            _refuse(self._latest, OwnershipLost())
            return self._latest
        topic, partition = self._surroundings.topic, self.state.partition
        flight = Flight(len(staged), self._surroundings.producer.append(topic, partition, staged), staged[-1][1])
        self._flights.put_nowait(flight)
        self._latest = flight
        return flight

    async def verify(self) -> int:
        """Make sure that nothing was appended behind the owner's back; gives the last offset known.

        Raises:
            OwnershipLost: a newer claim is on the log.
            KafkaUnreachable: no broker answered.
        """
        asked_at = asyncio.get_running_loop().time()
        end = await self._surroundings.ends.end(self._surroundings.topic, self.state.partition)
        if self.lost.is_set():
            raise OwnershipLost
        await self._ask(end - 1, asked_at).landed
        return self._footing.folded

    async def snapshot(self) -> Snapshot:
        """The state as it is now, once the log has all of it.

        Commands go on meanwhile: the state is copied now, and the offset it belongs to is the one that is known when
        everything sent before has landed.

        Raises:
            OwnershipLost: a newer claim is on the log.
        """
        if self.lost.is_set():
            raise OwnershipLost
        taken = snapshot_of(self.state, self._footing.last)
        question = self._ask(NOTHING_FOLDED, -math.inf)
        await question.landed
        return _at(taken, question.footing)

    def settled(self) -> Snapshot | None:
        """The state, where the log is known to have all of it; None where events were sent that it may not have."""
        if self._staged or (self._latest is not None and self._latest.footing is None):
            return None
        return _at(snapshot_of(self.state, self._footing.last), self._footing)

    async def release(self) -> None:
        """Let go of the partition; whoever still waits learns that it is lost."""
        self.lost.set()
        self._confirming.cancel()
        await asyncio.gather(self._confirming, return_exceptions=True)
        self._abandon()

    def _ask(self, last: int, proves: float) -> Flight:
        """Ask whether the log has ``last`` without a newer claim; it is answered after everything sent before."""
        answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        answered.set_result(last)
        question = Flight(0, answered, proves=proves)
        self._flights.put_nowait(question)
        return question

    async def _confirm(self) -> None:
        while True:
            flight = await self._flights.get()
            try:
                await self._land(flight)
            except OwnershipLost as error:
                self.lost.set()
                _refuse(flight, error)
                self._abandon()
                return
            except asyncio.CancelledError:
                _refuse(flight, OwnershipLost())
                raise
            except Exception as error:  # noqa: BLE001  whatever it is, the state is not to be trusted any more
                self.lost.set()
                _refuse(flight, OwnershipLost(str(error)))
                self._abandon()
                self._surroundings.failed(error)
                return

    async def _land(self, flight: Flight) -> None:
        last = await flight.acknowledged
        known, void, value = self._footing
        due = known + flight.count
        if flight.count and last < due:
            raise LogCorrupt(f"{self._surroundings.topic}:{self.state.partition}: offset {last} where {due} was due")
        offsets: Sequence[int] = range(last - flight.count + 1, last + 1)
        if last > due:
            records = await self._read_back(last)
            offsets = self._judge(records)
            void += len(records) - len(offsets)
            value = records[-1].value or b""
        self._footing = flight.footing = Footing(max(known, last), void, flight.last or value)
        self.state.void = void
        self.state.advance(self._footing.folded)
        self.proved_at = max(self.proved_at, flight.proves)
        if not flight.landed.done():
            flight.landed.set_result(offsets)

    async def _read_back(self, last: int) -> list[Record]:
        first = self._footing.folded + 1
        return await asyncio.to_thread(self._surroundings.gap, self.state.partition, first, last + 1)

    def _judge(self, records: list[Record]) -> list[int]:
        """The offsets of this owner's own events among ``records``; a newer claim among them deposes it."""
        own: list[int] = []
        for record in records:
            place = f"{self._surroundings.topic}:{record.partition}:{record.offset}"
            decoded = decode_event(record.value, place)
            if isinstance(decoded, Claimed):
                found = Claim(record.offset, decoded.worker, decoded.generation, decoded.term)
                if found.supersedes(self.claim):
                    raise OwnershipLost(f"{place}: {found.worker} claimed the partition")
            elif decoded.claim == self.claim.offset:
                own.append(record.offset)
        return own

    def _abandon(self) -> None:
        while not self._flights.empty():
            _refuse(self._flights.get_nowait(), OwnershipLost())


def _at(snapshot: Snapshot, footing: Footing | None) -> Snapshot:
    """A state with the offset that the log has it at.

    Raises:
        OwnershipLost: the log does not have it.
    """
    if footing is None:
        raise OwnershipLost
    return snapshot._replace(folded=footing.folded, void=footing.void, last=footing.last)


def _refuse(flight: Flight, error: Exception) -> None:
    if not flight.landed.done():
        flight.landed.set_exception(error)
        flight.landed.exception()


def fold_records(state: PartitionState, topic: str, records: list[Record]) -> None:
    """Fold records of the events topic into ``state``, in their order.

    Raises:
        LogCorrupt: a record is missing, cannot be read, or counts and is illegal; it names topic, partition, offset.
    """
    for record in records:
        place = f"{topic}:{record.partition}:{record.offset}"
        if record.offset > state.folded + 1:
            raise LogCorrupt(f"{place}: the records from {state.folded + 1} on are missing before it")
        decoded = decode_event(record.value, place)
        try:
            state.fold(record.offset, decoded)
        except Exception as error:
            raise LogCorrupt(f"{place}: {error}") from error
