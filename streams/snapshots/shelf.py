"""Snapshots in the store: two slots a partition, of which one is whole at every moment.

A snapshot of many tenants is more than one batch can hold without keeping the event loop waiting. So it is written
in small batches into the slot that does not hold the newest one: the first batch takes that slot's heading away, the
last one brings the new heading. RocksDB keeps batches in their order, so a slot with a heading has everything before
it, and whoever is killed half-way leaves the other slot as it was.
"""

from __future__ import annotations

from typing import Final, NamedTuple
from zlib import crc32

from statemachine.partition import NOTHING_FOLDED, PartitionState
from statemachine.state import TenantState
from streams.snapshots.doubt import Doubt
from streams.snapshots.encoding import Heading, Place, StateCodec, decode_heading, encode_heading, record_hash
from streams.snapshots.snapshot import Snapshot
from streams.snapshots.store import Store
from streams.snapshots.version import version

SLOTS: Final = (0, 1)

BATCH_STATES_MAX: Final = 500
"""States in one batch: about a millisecond, of which RocksDB keeps the interpreter for a half."""

LOOKED_AT_MAX: Final = 5_000
"""States that one step looks at to see whether they changed: about half a millisecond."""

READ_STATES_MAX: Final = 1_000
"""States that one step reads: about three milliseconds."""

Hashes = dict[str, str]
"""Per tenant the hash of its last event: by the chain of hashes it names all that happened to the tenant."""


class Held(NamedTuple):
    """What a slot is known to hold.

    Attributes:
        folded: offset of the snapshot.
        hashes: of its tenants.
    """

    folded: int
    hashes: Hashes


class Filling:
    """A snapshot on its way into a slot, step by step.

    Args:
        store: where it goes.
        place: the slot.
        snapshot: what is written.
        held: what the slot holds, None where that is not known; it must not be used any more afterwards.

    Attributes:
        states: states written so far.
        hashes: what the slot holds, once it is done.
    """

    def __init__(self, store: Store, place: Place, snapshot: Snapshot, held: Held | None) -> None:
        self.place = place
        self.snapshot = snapshot
        self.states = 0
        self.hashes: Hashes = {} if held is None else held.hashes
        self._store = store
        self._codec = StateCodec(place)
        self._left = iter(snapshot.tenants.values())
        self._clear = [] if held is not None else [(place.states, place.end)]
        self._drop = [place.heading]
        self._batch: list[tuple[bytes, bytes]] = []
        self._events = self._chains = 0
        self._ended = False

    def step(self) -> bool:
        """Write a little more; whether the snapshot is whole. A step that fails as busy is taken again.

        Raises:
            StoreFailed: it cannot be written.
        """
        if not self._batch:
            self._gather()
        heading = [(self.place.heading, encode_heading(self._heading(), self.place))] if self._ended else []
        self._store.write([*self._batch, *heading], self._clear, self._drop)
        self.states += len(self._batch)
        self._batch, self._clear, self._drop = [], [], []
        return self._ended

    def _gather(self) -> None:
        for _ in range(LOOKED_AT_MAX):
            state = next(self._left, None)
            if state is None:
                self._ended = True
                return
            self._look(state)
            if len(self._batch) >= BATCH_STATES_MAX:
                return

    def _look(self, state: TenantState) -> None:
        self._events += state.sequence
        self._chains += crc32(state.hash.encode())
        if self.hashes.get(state.tenant) != state.hash:
            self.hashes[state.tenant] = state.hash
            self._batch.append(self._codec.encode(state))

    def _heading(self) -> Heading:
        snapshot = self.snapshot
        return Heading(
            version(),
            self.place.topic,
            snapshot.partition,
            snapshot.folded,
            record_hash(snapshot.last),
            snapshot.claim,
            snapshot.command_offset,
            dict(snapshot.origins),
            snapshot.void,
            len(snapshot.tenants),
            self._events,
            self._chains,
        )


class Reading:
    """A snapshot on its way out of a slot, step by step.

    Args:
        store: where it is.
        place: the slot.
        heading: its heading.

    Attributes:
        tenants: states read so far.
    """

    def __init__(self, store: Store, place: Place, heading: Heading) -> None:
        self.place = place
        self.heading = heading
        self.tenants: dict[str, TenantState] = {}
        self._store = store
        self._codec = StateCodec(place)
        self._next = place.states
        self._events = self._chains = 0

    def step(self) -> bool:
        """Read a little more; whether all was read and adds up.

        Raises:
            Doubt: something is damaged, missing or left over.
            StoreFailed: it cannot be read.
        """
        records = self._store.read(self._next, self.place.end, READ_STATES_MAX)
        for key, value in records:
            state = self._codec.decode(key, value)
            self.tenants[state.tenant] = state
            self._events += state.sequence
            self._chains += crc32(state.hash.encode())
        if len(records) < READ_STATES_MAX:
            self._add_up()
            return True
        self._next = records[-1][0] + b"\0"
        return False

    def state(self) -> PartitionState:
        """The partition, once all of it was read; folding goes on behind it."""
        heading = self.heading
        state = PartitionState(heading.partition)
        state.folded = heading.folded
        state.claim = heading.claim
        state.command_offset = heading.command_offset
        state.origins = dict(heading.origins)
        state.void = heading.void
        state.tenants = dict(self.tenants)
        return state

    def _add_up(self) -> None:
        heading = self.heading
        if len(self.tenants) != heading.tenants:
            raise Doubt(f"it holds {len(self.tenants)} tenants, and its heading says {heading.tenants}")
        if self._events != heading.events:
            raise Doubt(f"its tenants had {self._events} events, and its heading says {heading.events}")
        if self._chains != heading.chains:
            raise Doubt("its tenants' last events are not those that its heading was written with")
        if self._events + heading.void > heading.folded + 1:
            raise Doubt(f"it has {self._events} events and {heading.void} void records up to offset {heading.folded}")


class Shelf:
    """The slots of all partitions of a topic. To be used by the store's thread.

    Args:
        store: where they are; it is open.
        topic: the events topic.
    """

    def __init__(self, store: Store, topic: str) -> None:
        self._store = store
        self._topic = topic
        self._held: dict[Place, Held] = {}

    def places(self, partition: int) -> list[Place]:
        """The slots of a partition."""
        return [Place(self._topic, partition, slot) for slot in SLOTS]

    def heading(self, place: Place) -> Heading | None:
        """The heading of a slot, None where it holds no whole snapshot.

        Raises:
            Doubt: it must not be used.
            StoreFailed: it cannot be read.
        """
        value = self._store.get(place.heading)
        return None if value is None else decode_heading(value, place)

    def fill(self, snapshot: Snapshot) -> Filling | None:
        """Begin to write a snapshot; None where one as new is there already.

        Raises:
            StoreFailed: the store cannot be read.
        """
        folded = {place: self._folded(place) for place in self.places(snapshot.partition)}
        if max(folded.values()) >= snapshot.folded:
            return None
        oldest = min(folded, key=folded.__getitem__)
        held = self._held.pop(oldest, None)
        if held is not None and held.folded != folded[oldest]:
            # The store was made anew, or somebody else wrote to it.
            held = None
        return Filling(self._store, oldest, snapshot, held)

    def was_filled(self, filling: Filling) -> None:
        """A snapshot is whole: the next one into its slot writes only what changed since."""
        self._held[filling.place] = Held(filling.snapshot.folded, filling.hashes)

    def read(self, place: Place, heading: Heading) -> Reading:
        """Begin to read the snapshot in a slot."""
        return Reading(self._store, place, heading)

    def was_read(self, reading: Reading) -> None:
        """A snapshot was read: what its slot holds is known."""
        hashes = {tenant: state.hash for tenant, state in reading.tenants.items()}
        self._held[reading.place] = Held(reading.heading.folded, hashes)

    def discard(self, place: Place) -> None:
        """Delete what a slot holds.

        Raises:
            StoreFailed: it cannot be deleted.
        """
        self._held.pop(place, None)
        self._store.write([], clear=[(place.key, place.end)])

    def _folded(self, place: Place) -> int:
        """Offset of the snapshot in a slot; -1 where there is none that can be used."""
        try:
            heading = self.heading(place)
        except Doubt:
            return NOTHING_FOLDED
        return NOTHING_FOLDED if heading is None else heading.folded
