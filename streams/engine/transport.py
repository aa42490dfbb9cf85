"""A transport for Faust that hands over runs: one Faust message per stretch of records of one partition.

Registered in Faust's entry-point group ``faust.transports`` under the scheme ``batch``. Agents, tables,
rebalancing and recovery work as ever; the cost per message is paid once per run.

Committing is by what handlers report as done, not by Faust's acknowledgements: those also count messages
that a stream skipped, and would carry a commit past work that was never done.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, cast

import aiokafka
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage, Message
from mode.utils.futures import notify

from streams.engine.patience import bound_requests
from streams.engine.progress import Progress
from streams.engine.reading import Reading
from streams.worker.run import Run

FETCH_WAIT_MS_MAX: Final = 100
"""How long a broker may hold a fetch back that has nothing: a partition that was just resumed waits no longer."""

CLOSED_WAIT_S: Final = 0.02
"""How long fetching rests, in seconds, while there is nothing that may be read."""

RECOVERY_WAIT_S: Final = 0.05
"""How long a fetch of a recovery may wait, in seconds: one that outlasts it would keep the inputs waiting."""

RUN_RECORDS_MAX: Final = 1000
"""Records of a run, so that one partition cannot starve the others or the heartbeat."""


class RunConsumerThread(driver.AIOKafkaConsumerThread):
    """The consumer's own thread, with a shorter long poll than Faust's fixed 1.5 s, and a bound on what is silent."""

    consumer: RunConsumer

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS_MAX  # noqa: SLF001  Faust passes a constant and offers no setting
        bound_requests(consumer._client, self.app.conf.broker_session_timeout)  # noqa: SLF001  nor has aiokafka one
        return consumer

    async def committed(self, tps: Iterable[TP]) -> dict[TP, int]:
        """What the group has committed, as the broker knows it; partitions without are left out."""
        return cast(dict[TP, int], await self.call_thread(self._committed, list(tps)))

    async def _committed(self, tps: Sequence[TP]) -> dict[TP, int]:
        # aiokafka's own method asks for one partition at a time.
        coordinator = self._ensure_consumer()._coordinator  # noqa: SLF001  see above
        places = [aiokafka.TopicPartition(tp.topic, tp.partition) for tp in tps]
        found = await coordinator.fetch_committed_offsets(places)
        return {TP(*place): committed.offset for place, committed in found.items() if committed.offset >= 0}

    async def _fetch_records(self, consumer: aiokafka.AIOKafkaConsumer, *args: Any, **options: Any) -> Any:
        self._pause_unread(consumer)
        return await super()._fetch_records(consumer, *args, **options)

    def _pause_unread(self, consumer: aiokafka.AIOKafkaConsumer) -> None:
        """Fetch nothing that nobody takes: it would lie in the fetcher's buffer, and hold all other fetches back."""
        unread = {tp for tp in consumer.assignment() if self.consumer.is_unread(TP(*tp))}
        paused = consumer.paused()
        consumer.pause(*(unread - paused))
        consumer.resume(*(paused - unread))


class RunConsumer(driver.Consumer):
    """A consumer whose messages are runs.

    Attributes:
        progress: what handlers have begun and finished, and so what is committed.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.progress = Progress()
        self._thread: RunConsumerThread
        self._readings: defaultdict[TP, Reading] = defaultdict(Reading)
        self._inputs_open = False
        self._inputs_sought = False

    def _new_consumer_thread(self) -> RunConsumerThread:
        return RunConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:
        """Fetch, and hand over one message per run."""
        if not self.flow_active:
            await self.wait(self.can_resume_flow)  # type: ignore[arg-type]  # mode takes any event
        if not self._get_active_partitions():
            # Faust would look again in a second, and so long would all commands wait.
            await asyncio.sleep(CLOSED_WAIT_S)
            return
        fetched, _ = await self._wait_next_records(timeout if self._inputs_open else min(timeout, RECOVERY_WAIT_S))
        # Waiting may have lasted through a rebalance: what was fetched belongs to the generation there is now.
        generation = self.app.consumer_generation_id
        if fetched is None or self.should_stop or not self.flow_active:
            return
        wanted = self._readable(self._get_active_partitions() | self._buffered_partitions)
        aligned = {tp: await self._aligned(tp, records) for tp, records in fetched.items() if tp in wanted}
        for tp, records in _in_turn(aligned):
            if self._interrupted(generation):
                return
            # The handler may have sought elsewhere while this fetch was being handed over.
            if self._readings[tp].due in (None, records[0].offset):
                yield tp, self._message(tp, records)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        wanted = self._readable(active_partitions or ())
        if wanted:
            return await super()._getmany(wanted, timeout)
        await asyncio.sleep(CLOSED_WAIT_S)
        return {}

    def _readable(self, tps: Iterable[TP]) -> set[TP]:
        """Inputs are read only from Faust's last seek of a recovery on: before, it throws away what is queued."""
        return {tp for tp in tps if self._inputs_open or self._is_changelog_tp(tp)}

    @property
    def inputs(self) -> set[TP] | None:
        """The inputs that are read; None while a rebalance or a recovery keeps them waiting."""
        if not (self._inputs_open and self.flow_active):
            return None
        return {tp for tp in self.assignment() if not self._is_changelog_tp(tp)}

    def is_unread(self, tp: TP) -> bool:
        """Whether nobody reads a partition now: events that the table's owner writes need not come back to it."""
        return self._inputs_open and self._is_changelog_tp(tp) and tp not in self._active_partitions

    def _interrupted(self, generation: int) -> bool:
        """A rebalance began: what is left of a fetch is another generation's."""
        return not self.flow_active or bool(self.app.consumer_generation_id != generation)

    async def _aligned(self, tp: TP, records: list[Any]) -> list[Any]:
        """The records from the one that is due; where that is missing, it is asked for once more."""
        reading = self._readings[tp]
        due = reading.due
        if due is None or records[0].offset == due:
            return records
        fresh = [record for record in records if record.offset >= due]
        if not fresh or fresh[0].offset == due or reading.steps_over(fresh[0].offset):
            return fresh
        await self._seek(tp, due)
        return []

    def _message(self, tp: TP, records: list[Any]) -> Message:
        last, reading = records[-1], self._readings[tp]
        run: Any = Run(tp.topic, tp.partition, records, reading.handed, reading.epoch)
        reading.hand_over(last.offset)
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000.0,
            last.timestamp_type,
            {},
            None,
            run,
            None,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )

    def is_stale(self, run: Run) -> bool:
        """Whether the partition was sought since the run was fetched: what it holds is read again."""
        return run.epoch != self._readings[TP(run.topic, run.partition)].epoch

    def ack(self, message: Message) -> bool:
        """Faust is done with a message; that says nothing about its run."""
        message.acked = True
        self._unacked_messages.discard(message)
        notify(self._waiting_for_ack)
        return True

    def stop_flow(self) -> None:
        """Hand nothing over; Faust begins a rebalance with this."""
        super().stop_flow()
        self._inputs_open = self._inputs_sought = False

    def resume_flow(self) -> None:
        """Go on handing over; Faust ends a rebalance with `perform_seek` and this."""
        super().resume_flow()
        self._inputs_open = self._inputs_sought

    async def perform_seek(self) -> None:
        """Go back to what is committed on every input."""
        await self.seek_wait(await self._starts([tp for tp in self.assignment() if not self._is_changelog_tp(tp)]))
        self._inputs_sought = True

    async def rewind(self, tp: TP) -> None:
        """Go back to what is committed on one input, or to its beginning where nothing is."""
        await self.seek(tp, (await self._starts([tp]))[tp])

    async def _starts(self, tps: Sequence[TP]) -> dict[TP, int]:
        committed = await self._thread.committed(tps)
        self._committed_offset.update(committed)
        fresh = [tp for tp in tps if tp not in committed]
        return {**committed, **(await self.earliest_offsets(*fresh) if fresh else {})}

    async def seek(self, partition: TP, offset: int) -> None:
        """Seek one partition."""
        self._readings[partition].restart(offset)
        await super().seek(partition, offset)

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Seek several partitions."""
        for tp, offset in partitions.items():
            self._readings[tp].restart(offset)
        await super().seek_wait(partitions)

    async def prove_membership(self, tp: TP) -> bool:
        """Commit what is committed already: Kafka accepts that only from a member of the current generation."""
        return await self._commit(await self._starts([tp]))

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Forget what was done on partitions that are given back; it is committed by then."""
        await super().on_partitions_revoked(revoked)
        self.progress.reset(revoked)
        for tp in revoked:
            self._readings[tp].restart(None)

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        for topic, partition in self.progress.places():
            tp = TP(topic, partition)
            if topics is None or tp in topics or topic in topics:
                yield tp

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Offsets inside a run are no gaps."""

    def _new_offset(self, tp: TP) -> int | None:
        return self.progress.committable(tp)


def _in_turn(fetched: Mapping[TP, list[Any]]) -> Iterator[tuple[TP, list[Any]]]:
    """Runs of all partitions in turn."""
    longest = max((len(records) for records in fetched.values()), default=0)
    for start in range(0, longest, RUN_RECORDS_MAX):
        for tp, records in fetched.items():
            run = records[start : start + RUN_RECORDS_MAX]
            if run:
                yield tp, run


class Transport(driver.Transport):
    """The transport behind ``batch://``."""

    Consumer: ClassVar[type[RunConsumer]] = RunConsumer
    driver_version = f"runs over aiokafka {aiokafka.__version__}"
