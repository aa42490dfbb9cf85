"""A transport for Faust that hands over runs: one Faust message per stretch of records of one partition.

Registered in Faust's entry-point group ``faust.transports`` under the scheme ``batch``. Agents, tables,
rebalancing and recovery work as ever; the cost per message is paid once per run.

Committing is by what handlers report as done, not by Faust's acknowledgements: those also count messages
that a stream skipped, and would carry a commit past work that was never done.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final

import aiokafka
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage, Message
from mode.utils.futures import notify

from streams.engine.progress import Progress
from streams.worker.run import Run

FETCH_WAIT_MS_MAX: Final = 100
"""How long a broker may hold a fetch back that has nothing: a partition that was just resumed waits no longer."""

RUN_RECORDS_MAX: Final = 1000
"""Records of a run, so that one partition cannot starve the others or the heartbeat."""


class RunConsumerThread(driver.AIOKafkaConsumerThread):
    """The consumer's own thread, with a shorter long poll than Faust's fixed 1.5 s."""

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS_MAX  # noqa: SLF001  Faust passes a constant and offers no setting
        return consumer

    async def committed(self, tp: TP) -> int | None:
        """What the group has committed for a partition, as the broker knows it."""
        committed: int | None = await self.call_thread(self._ensure_consumer().committed, tp)
        return committed


class RunConsumer(driver.Consumer):
    """A consumer whose messages are runs.

    Attributes:
        progress: what handlers have begun and finished, and so what is committed.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.progress = Progress()
        self._thread: RunConsumerThread
        self._handed: dict[TP, int] = {}
        self._start: dict[TP, int] = {}
        self._asked_again: dict[TP, int] = {}
        self._stepped: dict[TP, int] = {}

    def _new_consumer_thread(self) -> RunConsumerThread:
        return RunConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:
        """Fetch, and hand over one message per run."""
        fetched, _ = await self._wait_next_records(timeout)
        # Waiting may have lasted through a rebalance: what was fetched belongs to the generation there is now.
        generation = self.app.consumer_generation_id
        if fetched is None or self.should_stop:
            return
        if not self.flow_active:
            await self.perform_seek()
            return
        wanted = self._get_active_partitions() | self._buffered_partitions
        aligned = {tp: await self._aligned(tp, records) for tp, records in fetched.items() if tp in wanted}
        for tp, records in _in_turn(aligned):
            if self._interrupted(generation):
                return
            if self._due(tp) not in (None, records[0].offset):
                # The handler sought elsewhere while this fetch was being handed over.
                continue
            yield tp, self._message(tp, records)

    def _interrupted(self, generation: int) -> bool:
        """A rebalance began: what is left of a fetch is another generation's."""
        return not self.flow_active or bool(self.app.consumer_generation_id != generation)

    async def _aligned(self, tp: TP, records: list[Any]) -> list[Any]:
        """The records from the one that is due; where that is missing, it is asked for once more.

        Records fetched before a seek can arrive after it. A hole that is still there when asked for again
        is one of the topic's own: a transaction marker, or records that were deleted.
        """
        due = self._due(tp)
        if due is None or records[0].offset == due:
            return records
        fresh = [record for record in records if record.offset >= due]
        if not fresh or fresh[0].offset == due:
            return fresh
        if self._asked_again.get(tp) == due:
            self._stepped[tp] = fresh[0].offset
            return fresh
        self._asked_again[tp] = due
        await self._seek(tp, due)
        return []

    def _due(self, tp: TP) -> int | None:
        """The offset that is to be handed over next, None where reading may start anywhere."""
        if tp in self._stepped:
            return self._stepped[tp]
        handed = self._handed.get(tp)
        return self._start.get(tp) if handed is None else handed + 1

    def _message(self, tp: TP, records: list[Any]) -> Message:
        last = records[-1]
        run: Any = Run(tp.topic, tp.partition, records, self._handed.get(tp))
        self._handed[tp] = last.offset
        self._stepped.pop(tp, None)
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

    def ack(self, message: Message) -> bool:
        """Faust is done with a message; that says nothing about its run."""
        message.acked = True
        self._unacked_messages.discard(message)
        notify(self._waiting_for_ack)
        return True

    async def perform_seek(self) -> None:
        """Seek to what is committed."""
        self._restart(tp for tp in self.assignment() if not self._is_changelog_tp(tp))
        await super().perform_seek()
        for tp, offset in self._read_offset.items():
            if offset is not None and tp not in self._handed and not self._is_changelog_tp(tp):
                self._start[tp] = offset

    async def seek(self, partition: TP, offset: int) -> None:
        """Seek one partition."""
        self._restart([partition])
        self._start[partition] = offset
        await super().seek(partition, offset)

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Seek several partitions."""
        self._restart(partitions)
        self._start.update(partitions)
        await super().seek_wait(partitions)

    async def prove_membership(self, tp: TP) -> bool:
        """Commit what is committed already: Kafka accepts that only from a member of the current generation."""
        committed = await self._thread.committed(tp)
        if committed is None:
            committed = (await self.earliest_offsets(tp))[tp]
        return await self._commit({tp: committed})

    def _restart(self, tps: Iterable[TP]) -> None:
        for tp in tps:
            self._handed.pop(tp, None)
            self._start.pop(tp, None)
            self._asked_again.pop(tp, None)
            self._stepped.pop(tp, None)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Forget what was done on partitions that are given back; it is committed by then."""
        await super().on_partitions_revoked(revoked)
        self.progress.reset(revoked)
        self._restart(revoked)

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
