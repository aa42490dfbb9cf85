"""The consumer under the engine: the real `RunConsumer` over simulated fetches, without Faust's services.

What is real: alignment of runs, holes, seeks, epochs, committing by what handlers finished. What is simulated is what
aiokafka and Faust's threads do below: fetching, positions, and which partitions are paused.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from faust.types import TP

from streams.engine.progress import Progress
from streams.engine.reading import Reading
from streams.engine.transport import RunConsumer
from tests.simulation.broker import Broker, Fetch, Place, Stored
from tests.simulation.group import Coordinator
from tests.simulation.link import RETRY_S, Link
from tests.simulation.scheduler import Scheduler

FETCH_WAIT_S: Final = 1.0
"""How long the broker holds a fetch back that has nothing."""

CLOSED_WAIT_S: Final = 0.1
"""How long fetching rests while nothing may be read."""

STALE_SHARE: Final = 0.3
"""Share of fetches that are handed on although the partition was sought meanwhile."""


class Generation:
    """What the consumer knows of its app: the generation it is in.

    Attributes:
        consumer_generation_id: Faust's name for it.
    """

    def __init__(self) -> None:
        self.consumer_generation_id = -1


class Ordered(set[TP]):
    """A set that is gone through in the same order in every run."""

    def __iter__(self) -> Iterator[TP]:
        return iter(sorted(super().__iter__()))


class SimulatedConsumer(RunConsumer):
    """A worker's consumer.

    Args:
        scheduler: virtual time.
        broker: who is asked.
        link: the process's network.
        coordinator: of its group.
        name: its member id.
        changelog: the topic that is read in recoveries only.
    """

    def __init__(  # it has no Faust beneath it, so Faust's own constructor is not called
        self, scheduler: Scheduler, broker: Broker, link: Link, coordinator: Coordinator, name: str, changelog: str
    ) -> None:
        self.app: Any = Generation()
        self.progress = Progress()
        self.flow_active = False
        self.can_resume_flow: Any = asyncio.Event()
        self.suspend_flow: Any = asyncio.Event()
        self.assigned: set[TP] = set()
        self.paused: set[TP] = set()
        self.passes: Callable[[str], None] = lambda _: None
        self._positions: dict[Place, int] = {}
        self._assigned_again = asyncio.Event()
        self._readings: defaultdict[TP, Reading] = defaultdict(Reading)
        self._inputs_open = False
        self._inputs_sought = False
        self._unacked_messages: Any = set()
        self._buffered_partitions = set()
        self._committed_offset: Any = {}
        self._waiting_for_ack: Any = None
        self._scheduler = scheduler
        self._broker = broker
        self._link = link
        self._coordinator = coordinator
        self._member = name
        self._changelog = changelog

    def __str__(self) -> str:
        return f"{self._link}'s consumer"

    @property
    def should_stop(self) -> bool:
        """Fetching ends with its task."""
        return False

    def assignment(self) -> set[TP]:
        """What this member has."""
        return Ordered(self.assigned)

    def reassigning(self) -> None:
        """The group is about to assign anew: nothing is handed out before it has."""
        self._assigned_again.clear()

    def assign(self, tps: set[TP]) -> None:
        """The group has assigned; nothing is fetched before it is resumed."""
        self.assigned = tps
        self.paused = set(tps)
        self._assigned_again.set()

    async def ends(self, tps: Iterable[TP]) -> dict[TP, int]:
        """Where partitions end now."""
        wanted = list(tps)
        found: dict[TP, int] = await self._link.ask(
            lambda: {tp: self._broker.end(tp.topic, tp.partition) for tp in wanted}
        )
        return found

    async def commit_finished(self) -> None:
        """Commit what handlers finished, where that is news."""
        offsets: dict[TP, int] = {}
        for tp in self._filter_tps_with_pending_acks():
            offset = self._new_offset(tp)
            if offset is not None and offset > self._committed_offset.get(tp, -1):
                offsets[tp] = offset
        if offsets and await self._commit(offsets):
            self._committed_offset.update(offsets)

    async def seek(self, partition: TP, offset: int) -> None:
        """Seek one partition."""
        self._readings[partition].restart(offset)
        await self._seek(partition, offset)

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Seek several partitions."""
        for tp, offset in partitions.items():
            await self.seek(tp, offset)

    async def _starts(self, tps: Sequence[TP]) -> dict[TP, int]:
        committed = await self._link.ask(lambda: {tp: self._coordinator.committed.get(tp) for tp in tps})
        self._committed_offset.update({tp: offset for tp, offset in committed.items() if offset is not None})
        return {tp: offset or 0 for tp, offset in committed.items()}

    async def prove_membership(self, tp: TP) -> bool:
        """Commit what is committed already."""
        committed = await self._link.ask(lambda: self._coordinator.committed.get(tp))
        return await self._commit({tp: committed or 0})

    def forget(self) -> None:
        """Everything is given back: forget what was done on it."""
        self.progress.reset({(tp.topic, tp.partition) for tp in self.assigned})
        for tp in self.assigned:
            self._readings[tp].restart(None)

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        self.passes("commit")
        generation = self.app.consumer_generation_id
        places: dict[Place, int] = dict(offsets.items())
        done: bool = await self._link.ask(lambda: self._coordinator.commit(self._member, generation, places))
        return done

    async def _seek(self, partition: TP, offset: int) -> None:
        self._positions[partition] = offset

    def _get_active_partitions(self) -> set[TP]:
        return self.assigned - self.paused

    def _is_changelog_tp(self, tp: TP) -> bool:
        return tp.topic == self._changelog

    async def wait(self, *events: Any, timeout: Any = None) -> Any:  # noqa: ARG002  Faust's signature
        """Wait for an event; its end is its task's."""
        for event in events:
            await event.wait()

    async def _wait_next_records(self, timeout: float) -> tuple[Any, Any]:  # noqa: ARG002  Faust's signature
        if not self.flow_active:
            await self.can_resume_flow.wait()
        wanted = {
            tp: self._positions[tp]
            for tp in sorted(self._readable(self._get_active_partitions()))
            if tp in self._positions
        }
        if not wanted:
            await asyncio.sleep(CLOSED_WAIT_S)
            return {}, None
        return await self._fetch(wanted), None

    async def _fetch(self, wanted: dict[TP, int]) -> dict[TP, list[Stored]]:
        answered: asyncio.Future[dict[Place, list[Stored]]] = asyncio.get_running_loop().create_future()
        places: dict[Place, int] = dict(wanted.items())
        self._send(Fetch(places, lambda found: self._scheduler.soon(self._hear, answered, found)))
        fetched: dict[TP, list[Stored]] = {}
        found = await answered
        await self._assigned_again.wait()
        for place, records in found.items():
            tp = TP(*place)
            if self._positions.get(tp) == wanted[tp]:
                self._positions[tp] = records[-1].offset + 1
            elif self._scheduler.random.random() >= STALE_SHARE:
                continue
            fetched[tp] = records
        return fetched

    def _send(self, fetch: Fetch) -> None:
        if self._link.dead:
            return
        if self._link.sends:
            self._scheduler.soon(self._broker.fetch, fetch, FETCH_WAIT_S)
        else:
            self._scheduler.after(RETRY_S, self._send, fetch)

    def _hear(self, answered: asyncio.Future[dict[Place, list[Stored]]], found: dict[Place, list[Stored]]) -> None:
        if self._link.dead or answered.done():
            return
        # An answer that is lost is asked for again, and finds at least as much.
        answered.set_result(found if self._link.hears else {})
