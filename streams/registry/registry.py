"""All partitions of a worker: recovered from the log, claimed, owned, and let go.

A claim is appended when a partition is newly assigned, before recovery learns where the log ends; so
recovery reads past it, and the new owner has seen everything that counts before it decides anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, Protocol

from statemachine.events import Claimed
from statemachine.partition import NOTHING_FOLDED, Claim, PartitionState
from streams.errors import DeliveryFailed, LogCorrupt, OwnershipLost
from streams.log.reader import Record
from streams.registry.partition import OwnedPartition, Surroundings, fold_records
from streams.snapshots.nothing import NoSnapshots
from streams.snapshots.snapshot import Snapshot, snapshot_of
from streams.wire.event import encode_claim, source_of

CLAIM_ATTEMPTS_MAX: Final = 3
"""How often a worker raises the term before it gives a partition up."""

Prove = Callable[[int], Awaitable[None]]
"""Shows that this worker is a member of the group's current generation, for a partition; raises if not."""


class Shelf(Protocol):
    """Where snapshots of partitions are."""

    async def load(self, partitions: Iterable[int]) -> Mapping[int, PartitionState]:
        """The states of ``partitions`` of which there is a snapshot, as far as it is beyond doubt."""

    def release(self, snapshot: Snapshot) -> None:
        """A partition is let go: this was its last state."""

    def distrust(self, partition: int) -> bool:
        """The log does not follow from a partition's state; says whether that came from a snapshot."""


class Registry:
    """The partitions that this worker recovers or owns.

    Args:
        worker: this worker's name, written into claims.
        surroundings: what every owned partition shares.
        claim_timeout_s: how long a claim may wait for its acknowledgement, in seconds.
        taken: called with each partition that this worker now owns.
        dropped: awaited with each partition that it owns no more.
        shelf: snapshots are loaded from there and left there; None for no snapshots.
    """

    def __init__(
        self,
        worker: str,
        surroundings: Surroundings,
        claim_timeout_s: float,
        taken: Callable[[OwnedPartition], None],
        dropped: Callable[[int], Awaitable[None]],
        shelf: Shelf | None = None,
    ) -> None:
        self.owned: dict[int, OwnedPartition] = {}
        self._worker = worker
        self._surroundings = surroundings
        self._claim_timeout_s = claim_timeout_s
        self._taken = taken
        self._dropped = dropped
        self._shelf = shelf or NoSnapshots()
        self._states: dict[int, PartitionState] = {}
        self._last: dict[int, bytes] = {}
        self._claims: dict[int, int] = {}
        self._assigned: set[int] = set()
        self._standbys: set[int] = set()
        self._generation: int | None = None
        self._round = 0
        self._turn = asyncio.Lock()

    @property
    def assigned(self) -> tuple[int, ...] | None:
        """The partitions that the group gave this worker; None before the first assignment."""
        return None if self._generation is None else tuple(sorted(self._assigned))

    def folded(self, partition: int) -> int:
        """Offset of the last record folded, `NOTHING_FOLDED` for none."""
        state = self._states.get(partition)
        return NOTHING_FOLDED if state is None else state.folded

    def fold(self, partition: int, records: list[Record]) -> None:
        """Fold records that recovery read. An owned partition needs none: its owner knows what it wrote.

        Records that do not follow what was folded were read for an assignment that is over; what is missing
        before a claim is read again when it is settled.

        Raises:
            LogCorrupt: a record cannot be read or is illegal.
        """
        if partition not in self.owned and records[0].offset <= self.folded(partition) + 1:
            self._fold(self._state(partition), records)

    def positions(self) -> Mapping[int, int]:
        """Per partition that is followed, recovered or owned, the offset up to which it is folded and acknowledged."""
        return {number: state.folded for number, state in self._states.items()}

    async def snapshot(self, partition: int) -> Snapshot | None:
        """A partition as it is now, once the log has all of it; None where it is not at hand.

        Raises:
            OwnershipLost: a newer claim is on the log.
        """
        owned = self.owned.get(partition)
        return await owned.snapshot() if owned is not None else self._recovering(partition)

    async def assign(self, partitions: Iterable[int], generation: int, standbys: Iterable[int] = ()) -> None:
        """The group gave this worker ``partitions`` in ``generation``: let others go, claim the new ones.

        A worker that missed a generation was out: everything it kept as an owner is suspect, so it is dropped. What it
        followed for others it read from the log alone, and goes on from there.

        Args:
            partitions: what it is to own.
            generation: the group's.
            standbys: what it is to follow, so that it could own it soon.

        Raises:
            DeliveryFailed: a claim was not acknowledged in time.
        """
        assigned, following = set(partitions), set(standbys)
        self._claims = {}
        self._round += 1
        async with self._turn:
            await self._assign(assigned, generation, following - assigned)

    async def _assign(self, assigned: set[int], generation: int, standbys: set[int]) -> None:
        missed = self._generation is not None and generation != self._generation + 1
        self._generation = generation
        kept = await self._kept(assigned)
        await asyncio.gather(*(self._drop(number) for number in list(self.owned) if missed or number not in kept))
        warm = self._standbys & (assigned | standbys)
        for number in self._states.keys() - self.owned.keys() - warm:
            self._leave(number, self._recovering(number))
        self._assigned, self._standbys = assigned, standbys
        fresh = sorted(assigned - self.owned.keys())
        cold = sorted((assigned | standbys) - self.owned.keys() - warm)
        claims = asyncio.gather(*(self._claim(number, generation, 0) for number in fresh))
        loaded, offsets = await asyncio.gather(self._shelf.load(cold), claims)
        for number, state in loaded.items():
            self._states[number] = state
            self._last.pop(number, None)
        self._claims = dict(zip(fresh, offsets, strict=True))

    async def _kept(self, assigned: set[int]) -> set[int]:
        """The partitions among ``assigned`` that are still ours.

        Generations restart with a group that is made anew, so the number alone does not tell whether somebody claimed
        meanwhile; the log does.
        """
        candidates = [owned for number, owned in self.owned.items() if number in assigned and not owned.lost.is_set()]
        verdicts = await asyncio.gather(*(owned.verify() for owned in candidates), return_exceptions=True)
        for verdict in verdicts:
            if isinstance(verdict, BaseException) and not isinstance(verdict, OwnershipLost):
                raise verdict
        return {owned.state.partition for owned in candidates if not owned.lost.is_set()}

    async def recovered(self, prove: Prove) -> list[int]:
        """Recovery has read the log to its end: own what this worker's claims count for.

        Returns:
            The partitions that a newer owner was found for.

        Raises:
            LogCorrupt: the log cannot be read or folded.
            OwnershipLost: the group's generations restarted and membership could not be proved.
        """
        async with self._turn:
            claims, self._claims = self._claims, {}
            current = self._round
            lost: list[int] = []
            for number, offset in claims.items():
                state = self._states[number]
                claim = await self._settle_claim(state, offset, prove)
                if self._round != current:
                    return []
                if claim is None:
                    lost.append(number)
                else:
                    owned = OwnedPartition(state, claim, self._surroundings, self._last[number])
                    self.owned[number] = owned
                    self._taken(owned)
            return lost

    async def close(self) -> None:
        """Let every partition go."""
        self._round += 1
        await asyncio.gather(*(self._drop(number) for number in list(self.owned)))
        for number in list(self._states):
            self._leave(number, self._recovering(number))

    async def _drop(self, number: int) -> None:
        owned = self.owned.pop(number)
        await self._dropped(number)
        self._leave(number, owned.settled())

    def _leave(self, number: int, snapshot: Snapshot | None) -> None:
        """Forget a partition, and leave a snapshot of it behind where there is one."""
        self._states.pop(number, None)
        self._last.pop(number, None)
        if snapshot is not None:
            self._shelf.release(snapshot)

    def _recovering(self, partition: int) -> Snapshot | None:
        """A partition that is being recovered, as far as it is; None where nothing was folded since it was taken."""
        state, last = self._states.get(partition), self._last.get(partition)
        return None if state is None or last is None else snapshot_of(state, last)

    def _fold(self, state: PartitionState, records: list[Record]) -> None:
        try:
            fold_records(state, self._surroundings.topic, records)
        except LogCorrupt as error:
            self._last.pop(state.partition, None)
            if not self._shelf.distrust(state.partition):
                raise
            raise LogCorrupt(
                f"{error}; its snapshot is deleted, so the worker folds the whole log when it is started again"
            ) from error
        if state.folded == records[-1].offset:
            self._last[state.partition] = records[-1].value or b""

    def _state(self, partition: int) -> PartitionState:
        return self._states.setdefault(partition, PartitionState(partition))

    async def _claim(self, number: int, generation: int, term: int) -> int:
        self._state(number)
        claim = Claimed(self._worker, generation, term)
        source = source_of(self._surroundings.region, number)
        body = encode_claim(claim, source=source, time=self._surroundings.now())
        acknowledged = self._surroundings.producer.append(self._surroundings.topic, number, [(None, body)])
        try:
            async with asyncio.timeout(self._claim_timeout_s):
                return await acknowledged
        except TimeoutError:
            raise DeliveryFailed(
                f"the claim of partition {number} was not acknowledged in {self._claim_timeout_s:.0f} s"
            ) from None

    async def _settle_claim(self, state: PartitionState, offset: int, prove: Prove) -> Claim | None:
        """The claim under which this worker owns the partition, None where a newer owner was found."""
        number = state.partition
        for _ in range(CLAIM_ATTEMPTS_MAX):
            await self._read_up_to(state, offset)
            counted = state.claim
            if counted is None or counted.offset > offset:
                return None
            if counted.offset == offset:
                return counted
            await self._prove(prove, number)
            offset = await self._claim(number, self._generation or 0, counted.term + 1)
        raise OwnershipLost(f"partition {number}: {CLAIM_ATTEMPTS_MAX} claims in a row were void")

    async def _prove(self, prove: Prove, number: int) -> None:
        try:
            async with asyncio.timeout(self._claim_timeout_s):
                await prove(number)
        except TimeoutError:
            raise OwnershipLost(
                f"partition {number}: membership was not proved within {self._claim_timeout_s:.0f} s"
            ) from None

    async def _read_up_to(self, state: PartitionState, offset: int) -> None:
        if state.folded < offset:
            records = await asyncio.to_thread(self._surroundings.gap, state.partition, state.folded + 1, offset + 1)
            self._fold(state, records)
