from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Final

import pytest

from streams.devstack.process import free_port
from streams.errors import DeliveryFailed, KafkaUnreachable
from streams.kafka.clients import admin, consumer_configuration, prefix_producer
from streams.log.ends import Ends
from streams.log.producer import LogProducer
from streams.log.reader import Stretch, open_consumer, read, stretches
from streams.settings import Settings
from streams.topics import Topics

pytestmark = pytest.mark.kafka

DEADLINE_S: Final = 20.0


class Written(LogProducer):
    """A producer that keeps what was told to be fatal."""

    def __init__(self, settings: Settings, timeout_s: float = DEADLINE_S) -> None:
        self.failures: asyncio.Queue[DeliveryFailed] = asyncio.Queue()
        super().__init__(prefix_producer(settings), timeout_s, self.failures.put_nowait)


@pytest.fixture
async def producer(settings: Settings) -> AsyncIterator[Written]:
    written = Written(settings)
    yield written
    await written.close()


def _values(settings: Settings, *wanted: Stretch) -> list[tuple[int, int, bytes | None]]:
    topic = Topics(settings).events
    with open_consumer(consumer_configuration(settings, "test")) as consumer:
        found = read(consumer, topic, wanted or stretches(consumer, topic))
        return [(record.partition, record.offset, record.value) for record in found]


async def test_batches_of_a_partition_arrive_whole_and_in_order(settings: Settings, producer: Written) -> None:
    topic = Topics(settings).events
    batches = [[(None, f"{batch}.{number}".encode()) for number in range(3)] for batch in range(40)]
    lasts = await asyncio.gather(*(producer.append(topic, 1, batch) for batch in batches))
    assert lasts == [3 * number + 2 for number in range(40)]
    assert [value for _, _, value in _values(settings)] == [value for batch in batches for _, value in batch]


async def test_receipts_are_settled_by_the_last_acknowledgement_and_only_once_sealed(
    settings: Settings, producer: Written
) -> None:
    topic = Topics(settings).replies
    receipts = producer.receipts()
    for number in range(5):
        producer.send(topic, f"k{number}", b"v", partition=0, receipts=receipts)
    await producer.append(topic, 0, [(None, b"behind them")])
    assert not receipts.delivered.done()
    receipts.seal()
    async with asyncio.timeout(DEADLINE_S):
        await receipts.delivered


async def test_receipts_of_nothing_are_settled_when_sealed(producer: Written) -> None:
    receipts = producer.receipts()
    receipts.seal()
    assert receipts.delivered.done()


async def test_a_record_that_waits_too_long_is_told_once_and_nothing_is_written_afterwards() -> None:
    nowhere = Settings.model_validate({"kafka": f"127.0.0.1:{free_port()}"})
    written = Written(nowhere, 0.2)
    first, second = (written.append("t", 0, [(None, b"v")]) for _ in range(2))
    receipts = written.receipts()
    written.send("t", "k", b"v", receipts=receipts)
    async with asyncio.timeout(DEADLINE_S):
        failure = await written.failures.get()
        answers = await asyncio.gather(first, second, written.append("t", 0, [(None, b"late")]), return_exceptions=True)
    assert list(answers) == [failure] * 3
    written.send("t", "k", b"late", receipts=receipts)
    receipts.seal()
    assert not receipts.delivered.done()
    await written.close()
    assert written.failures.empty()


async def test_a_record_that_the_broker_refuses_ends_the_producer(settings: Settings) -> None:
    written = Written(settings)
    topic = Topics(settings).events
    assert await written.append(topic, 0, [(None, b"first")]) == 0
    refused = written.append(topic, 0, [(None, secrets.token_bytes(3_000_000))])
    behind = written.append(topic, 0, [(None, b"behind")])
    async with asyncio.timeout(DEADLINE_S):
        await written.failures.get()
        answers = await asyncio.gather(refused, behind, return_exceptions=True)
    await written.close()
    assert isinstance(answers[0], DeliveryFailed)
    assert isinstance(answers[1], DeliveryFailed)
    assert [value for _, _, value in _values(settings)] == [b"first"]


async def test_a_stretch_is_read_from_its_first_to_before_its_end(settings: Settings, producer: Written) -> None:
    topic = Topics(settings).events
    for partition in (0, 1):
        await producer.append(topic, partition, [(None, f"{partition}.{number}".encode()) for number in range(5)])
    assert _values(settings, Stretch(1, 2, 4)) == [(1, 2, b"1.2"), (1, 3, b"1.3")]
    assert _values(settings, Stretch(0, 4, 5), Stretch(1, 3, 3)) == [(0, 4, b"0.4")]
    assert _values(settings, Stretch(0, 5, 5)) == []


async def test_the_end_holds_everything_acknowledged_before_it_was_asked_for(
    settings: Settings, producer: Written
) -> None:
    topic = Topics(settings).events
    ends = Ends(admin(settings))
    assert list(await asyncio.gather(ends.end(topic, 0), ends.end(topic, 1))) == [0, 0]
    for number in range(20):
        last = await producer.append(topic, 1, [(None, b"v")])
        assert list(await asyncio.gather(ends.end(topic, 1), ends.end(topic, 0))) == [last + 1, 0]
        assert last == number


async def test_an_end_that_nobody_can_tell_is_an_error_and_the_next_question_is_answered(settings: Settings) -> None:
    ends = Ends(admin(settings))
    with pytest.raises(KafkaUnreachable):
        await ends.end(Topics(settings).events, 7)
    assert await ends.end(Topics(settings).events, 0) == 0


async def test_who_gives_a_question_up_does_not_take_the_answer_from_others(settings: Settings) -> None:
    ends = Ends(admin(settings))
    topic = Topics(settings).events
    asking = [asyncio.create_task(ends.end(topic, 0)) for _ in range(3)]
    await asyncio.sleep(0)
    asking[0].cancel()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(answers[0]), *answers[1:]] == [asyncio.CancelledError, 0, 0]
