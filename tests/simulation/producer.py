"""An idempotent producer as the worker knows it: confluent-kafka's interface over the simulated network.

What the real one promises holds here too: per partition, what arrives is a prefix of what was written, in its order
and once. All else is chance: how a batch is cut into requests, how long they take, whether one is on its way when its
writer dies, and whether the writer ever hears of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from streams.kafka.partitioner import partition_of
from tests.simulation.broker import Broker, Headers, Place
from tests.simulation.link import RETRY_S, Link
from tests.simulation.loop import Waiting
from tests.simulation.scheduler import Scheduler

LINGER_S: Final = 0.0005
"""How long a record waits for others, on average."""

CUT_SHARE: Final = 0.15
"""Share of requests that take only a part of what is queued."""

LOSS_SHARE: Final = 0.5
"""Share of requests that are lost when the network is cut while they are on their way."""

if TYPE_CHECKING:
    from tests.simulation.process import Process

OnDelivery = Callable[[Any, Any], None]


class Delivered(NamedTuple):
    """What a delivery report says of a record: where it stands."""

    place: int

    def offset(self) -> int:
        """Its offset, as confluent-kafka names it."""
        return self.place


class _Written(NamedTuple):
    key: bytes | None
    value: bytes | None
    headers: Headers
    on_delivery: OnDelivery | None


class _Lane:
    """The way to one partition."""

    __slots__ = ("arrives_at", "landed", "name", "place", "queue", "sending", "wire")

    def __init__(self, place: Place) -> None:
        self.place = place
        self.name = f"{place[0]}:{place[1]}"
        self.queue: deque[_Written] = deque()
        self.wire: deque[list[_Written]] = deque()
        self.landed: deque[tuple[int, list[_Written]]] = deque()
        self.arrives_at = 0.0
        self.sending = False


class SimulatedProducer:
    """Writes to the simulated broker.

    Args:
        scheduler: virtual time.
        broker: where records go.
        link: the process's network.
        partitions: number of partitions of every topic.
        process: whose it is; it is told what the producer does, for faults that wait for just that.
    """

    def __init__(self, scheduler: Scheduler, broker: Broker, link: Link, partitions: int, process: Process) -> None:
        self._scheduler = scheduler
        self._broker = broker
        self._link = link
        self._partitions = partitions
        self._process = process
        self._lanes: dict[Place, _Lane] = {}
        self._purged = False
        self._flush_until: float | None = None

    def __str__(self) -> str:
        return f"{self._link}'s producer"

    def produce_batch(self, topic: str, messages: Sequence[dict[str, Any]], partition: int) -> int:
        """Queue records of one partition; gives how many."""
        written = [
            _Written(_bytes(message["key"]), message["value"], (), message.get("callback")) for message in messages
        ]
        self._queue((topic, partition), written)
        return len(written)

    def produce(
        self,
        topic: str,
        value: bytes | None,
        key: str | bytes | None,
        partition: int,
        on_delivery: OnDelivery,
        headers: Headers | None = None,
    ) -> None:
        """Queue one record; without a partition its key decides."""
        if partition < 0:
            partition = partition_of(key or b"", self._partitions)
        self._queue((topic, partition), [_Written(_bytes(key), value, headers or (), on_delivery)])

    def purge(self, **_: bool) -> None:
        """Send nothing more and report nothing more; what is on its way may arrive."""
        self._purged = True
        for lane in self._lanes.values():
            lane.queue.clear()

    def __len__(self) -> int:
        return sum(
            len(lane.queue) + sum(map(len, lane.wire)) + sum(len(batch) for _, batch in lane.landed)
            for lane in self._lanes.values()
        )

    def poll(self, _timeout_s: float) -> None:
        """Wait for delivery reports: they come by themselves."""
        self._process.turn.wait()

    def close(self) -> None:
        """Nothing is open."""

    def flush(self, timeout_s: float) -> int:
        """Wait for what is on its way; gives the number of records left."""
        left = 0 if self._purged else len(self)
        if self._flush_until is None:
            self._flush_until = self._scheduler.now + timeout_s
        if left and self._scheduler.now < self._flush_until:
            raise Waiting
        return left

    def _queue(self, place: Place, written: list[_Written]) -> None:
        lane = self._lanes.get(place)
        if lane is None:
            lane = self._lanes[place] = _Lane(place)
        lane.queue.extend(written)
        self._process.passes(f"write {place[0]}")
        if not lane.sending:
            lane.sending = True
            self._scheduler.after(LINGER_S * self._scheduler.random.random(), self._transmit, lane)

    def _transmit(self, lane: _Lane) -> None:
        if self._link.dead or not lane.queue:
            lane.sending = False
            return
        if not self._link.sends:
            self._scheduler.after(RETRY_S, self._transmit, lane)
            return
        chance = self._scheduler.random
        count = len(lane.queue)
        if count > 1 and chance.random() < CUT_SHARE:
            count = 1 + int(chance.random() * (count - 1))
        lane.wire.append([lane.queue.popleft() for _ in range(count)])
        lane.arrives_at = max(lane.arrives_at, self._scheduler.now + self._scheduler.way_s())
        self._scheduler.at(lane.arrives_at, self._arrive, lane)
        lane.sending = bool(lane.queue)
        if lane.sending:
            self._scheduler.after(LINGER_S, self._transmit, lane)

    def _arrive(self, lane: _Lane) -> None:
        if not lane.wire:
            return
        if not self._link.sends and self._scheduler.random.random() < LOSS_SHARE:
            self._lose(lane)
            return
        batch = lane.wire.popleft()
        topic, partition = lane.place
        for written in batch:
            last = self._broker.append(topic, partition, written.key, written.value, written.headers)
        if not self._purged:
            lane.landed.append((last, batch))
            self._scheduler.soon(self._report, lane)

    def _lose(self, lane: _Lane) -> None:
        """Nothing of the lane arrives any more: requests after a lost one are out of sequence; all are sent again."""
        lost = [written for batch in lane.wire for written in batch]
        lane.wire.clear()
        if self._link.dead or self._purged:
            return
        lane.queue.extendleft(reversed(lost))
        if not lane.sending:
            lane.sending = True
            self._scheduler.after(RETRY_S, self._transmit, lane)

    def _report(self, lane: _Lane) -> None:
        if self._is_over() or not lane.landed:
            return
        if not self._link.hears:
            self._scheduler.after(RETRY_S, self._report, lane)
            return
        last, batch = lane.landed.popleft()
        self._process.passes(f"hear {lane.place[0]}")
        if self._is_over():
            return
        first = last - len(batch) + 1
        for index, written in enumerate(batch):
            if written.on_delivery is not None:
                written.on_delivery(None, Delivered(first + index))

    def _is_over(self) -> bool:
        """Nobody is there any more to hear of what was delivered."""
        return self._purged or self._link.dead


def _bytes(key: str | bytes | None) -> bytes | None:
    return key.encode() if isinstance(key, str) else key
