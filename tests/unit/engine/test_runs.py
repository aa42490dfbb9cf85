from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, NamedTuple

import faust
import pytest
from faust.types import TP

from streams.engine.transport import RUN_RECORDS_MAX, RunConsumer
from streams.worker.run import Run

TOPIC: Final = "connect.local.commands"
HERE: Final = TP(TOPIC, 0)
THERE: Final = TP(TOPIC, 1)


class Fetched(NamedTuple):
    offset: int
    timestamp: int = 0
    timestamp_type: int = 0
    key: bytes | None = b"t1"
    value: bytes | None = b"{}"
    headers: Sequence[tuple[str, bytes | None]] = ()


class Unconnected(RunConsumer):
    """A consumer without its thread: what the broker would send is put in, where it would seek is kept."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.sought: list[tuple[TP, int]] = []
        self.arrives: dict[TP, list[Fetched]] = {}

    async def _seek(self, partition: TP, offset: int) -> None:
        self.sought.append((partition, offset))

    async def _wait_next_records(self, timeout: float) -> tuple[Any, Any]:  # noqa: ARG002  Faust's signature
        return self.arrives, None


@pytest.fixture
async def consumer() -> AsyncIterator[Unconnected]:
    app = faust.App("runs", broker="batch://127.0.0.1:1", store="memory://", web_enabled=False)
    app.finalize()
    made = Unconnected(
        app.transport,
        callback=app.topics.on_message,
        on_partitions_revoked=app._on_partitions_revoked,
        on_partitions_assigned=app._on_partitions_assigned,
    )
    made._set_active_tps({HERE, THERE})
    made._inputs_sought = True
    made.resume_flow()
    yield made
    made._thread.thread_loop.close()


async def _hand_over(consumer: Unconnected, **offsets: range) -> list[Run]:
    consumer.arrives = {
        TP(TOPIC, int(name[1:])): [Fetched(offset) for offset in those] for name, those in offsets.items()
    }
    return [_run(message) async for _, message in consumer.getmany(1.0)]


def _run(message: Any) -> Run:
    run: Run = message.value
    return run


def _stretch(run: Run) -> tuple[int, int | None, int, int]:
    return run.partition, run.follows, run.records[0].offset, run.last


async def test_a_fetch_becomes_one_run_per_partition(consumer: Unconnected) -> None:
    runs = await _hand_over(consumer, p0=range(5, 9), p1=range(100, 101))
    assert [_stretch(run) for run in runs] == [(0, None, 5, 8), (1, None, 100, 100)]


async def test_a_run_says_which_one_it_follows(consumer: Unconnected) -> None:
    await _hand_over(consumer, p0=range(3))
    (run,) = await _hand_over(consumer, p0=range(3, 5))
    assert _stretch(run) == (0, 2, 3, 4)


async def test_a_long_fetch_is_handed_over_in_turns(consumer: Unconnected) -> None:
    runs = await _hand_over(consumer, p0=range(2 * RUN_RECORDS_MAX + 1), p1=range(2))
    assert [(run.partition, len(run.records)) for run in runs] == [
        (0, RUN_RECORDS_MAX),
        (1, 2),
        (0, RUN_RECORDS_MAX),
        (0, 1),
    ]


async def test_a_hole_is_asked_for_once_and_then_taken_as_the_topics_own(consumer: Unconnected) -> None:
    await _hand_over(consumer, p0=range(3))
    assert await _hand_over(consumer, p0=range(5, 7)) == []
    assert consumer.sought == [(HERE, 3)]
    (run,) = await _hand_over(consumer, p0=range(5, 7))
    assert _stretch(run) == (0, 2, 5, 6)
    assert consumer.sought == [(HERE, 3)]


async def test_a_hole_that_is_filled_when_asked_for_leaves_nothing_out(consumer: Unconnected) -> None:
    await _hand_over(consumer, p0=range(3))
    assert await _hand_over(consumer, p0=range(5, 7)) == []
    (run,) = await _hand_over(consumer, p0=range(3, 7))
    assert _stretch(run) == (0, 2, 3, 6)


async def test_each_hole_is_asked_for(consumer: Unconnected) -> None:
    for offset in (0, 2, 2, 4, 4):
        await _hand_over(consumer, p0=range(offset, offset + 1))
    assert consumer.sought == [(HERE, 1), (HERE, 3)]


async def test_records_that_were_handed_over_before_are_left_out(consumer: Unconnected) -> None:
    await _hand_over(consumer, p0=range(5))
    (run,) = await _hand_over(consumer, p0=range(2, 8))
    assert _stretch(run) == (0, 4, 5, 7)
    assert await _hand_over(consumer, p0=range(3)) == []
    assert consumer.sought == []


async def test_records_fetched_before_a_seek_do_not_pass_for_those_after_it(consumer: Unconnected) -> None:
    await _hand_over(consumer, p0=range(10))
    await consumer.seek(HERE, 4)
    consumer.sought.clear()
    assert await _hand_over(consumer, p0=range(10, 12)) == []
    assert consumer.sought == [(HERE, 4)]
    (run,) = await _hand_over(consumer, p0=range(4, 12))
    assert _stretch(run) == (0, None, 4, 11)


async def test_a_seek_while_a_fetch_is_handed_over_ends_what_is_left_of_it(consumer: Unconnected) -> None:
    await _hand_over(consumer, p0=range(5), p1=range(5))
    consumer.arrives = {tp: [Fetched(offset) for offset in range(5, 9)] for tp in (THERE, HERE)}
    runs: list[Run] = []
    async for _, message in consumer.getmany(1.0):
        runs.append(_run(message))
        await consumer.seek(HERE, 2)
    assert [_stretch(run) for run in runs] == [(1, 4, 5, 8)]
    assert consumer._readings[HERE].due == 2


async def test_a_fetch_is_given_up_where_a_rebalance_began(consumer: Unconnected) -> None:
    consumer.arrives = {tp: [Fetched(offset) for offset in range(3)] for tp in (HERE, THERE)}
    handed = []
    async for tp, _ in consumer.getmany(1.0):
        handed.append(tp)
        consumer.app.consumer_generation_id += 1
    assert handed == [HERE]


async def test_partitions_that_are_paused_are_not_handed_over(consumer: Unconnected) -> None:
    consumer.pause_partitions({HERE})
    runs = await _hand_over(consumer, p0=range(3), p1=range(3))
    assert [run.partition for run in runs] == [1]


async def test_what_the_handler_finished_is_committed_and_not_what_faust_acknowledged(consumer: Unconnected) -> None:
    consumer.arrives = {HERE: [Fetched(offset) for offset in range(3)]}
    (message,) = [message async for _, message in consumer.getmany(1.0)]
    consumer.progress.begin((TOPIC, 0), 2)
    consumer.ack(message)
    assert list(consumer._filter_tps_with_pending_acks()) == []
    consumer.progress.finish((TOPIC, 0), 2)
    assert list(consumer._filter_tps_with_pending_acks()) == [HERE]
    assert consumer._new_offset(HERE) == 3


async def test_inputs_are_not_read_before_the_last_seek_of_a_recovery(consumer: Unconnected) -> None:
    consumer.stop_flow()
    consumer.resume_flow()
    assert await _hand_over(consumer, p0=range(3)) == []
    consumer._inputs_sought = True
    consumer.resume_flow()
    (run,) = await _hand_over(consumer, p0=range(3))
    assert _stretch(run) == (0, None, 0, 2)


async def test_a_run_is_stale_once_its_partition_was_sought(consumer: Unconnected) -> None:
    first, other = await _hand_over(consumer, p0=range(3), p1=range(3))
    await consumer.seek(HERE, 0)
    assert consumer.is_stale(first)
    assert not consumer.is_stale(other)
    (again,) = await _hand_over(consumer, p0=range(3))
    assert not consumer.is_stale(again)
