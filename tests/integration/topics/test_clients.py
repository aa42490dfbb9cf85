from __future__ import annotations

import asyncio
import logging
import secrets

import pytest
from aiokafka import AIOKafkaConsumer
from confluent_kafka import Message

from streams.devstack.process import free_port
from streams.errors import KafkaUnreachable
from streams.kafka.administration import apply, differences
from streams.kafka.clients import producer, reachable
from streams.kafka.partitioner import partition_of
from streams.settings import Settings
from streams.topics import Topics

pytestmark = pytest.mark.kafka

FLUSH_SECONDS = 30.0


def written(settings: Settings, records: list[tuple[bytes | None, bytes]]) -> list[Message]:
    client = producer(settings)
    arrived: list[Message] = []

    def report(error: object, message: Message) -> None:
        assert error is None
        arrived.append(message)

    for key, value in records:
        client.produce(Topics(settings).commands, key=key, value=value, on_delivery=report)
    assert client.flush(FLUSH_SECONDS) == 0
    return arrived


def test_a_key_lands_in_the_partition_that_was_foretold(settings: Settings) -> None:
    apply(settings)
    keys = [b"", b"t", "täglich".encode(), *(secrets.token_bytes(length) for length in range(1, 100))]
    arrived = written(settings, [(key, b"") for key in keys])
    assert len(arrived) == len(keys)
    assert {message.partition() for message in arrived} == {0, 1, 2}
    for message in arrived:
        assert partition_of(message.key() or b"", settings.partitions) == message.partition()


def test_a_large_value_that_nothing_compresses_is_taken(settings: Settings) -> None:
    apply(settings)
    assert len(written(settings, [(b"t1", secrets.token_bytes(settings.value_bytes_max + 100_000))])) == 1


async def test_what_is_written_compressed_can_be_read_by_aiokafka(settings: Settings) -> None:
    apply(settings)
    written(settings, [(b"t1", b"very much the same " * 1000)])
    reader = AIOKafkaConsumer(
        Topics(settings).commands, bootstrap_servers=settings.kafka, auto_offset_reset="earliest", group_id=None
    )
    await reader.start()
    try:
        record = await asyncio.wait_for(reader.getone(), FLUSH_SECONDS)
    finally:
        await reader.stop()
    assert record.value == b"very much the same " * 1000


def test_a_broker_that_is_there_is_reached(settings: Settings) -> None:
    reachable(settings)


def test_a_broker_that_is_not_there_is_named_with_the_reason(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(KafkaUnreachable, match=f"no broker at {address} answered: .*Connection refused") as caught:
        reachable(Settings(kafka=address), timeout=1.0)
    assert str(caught.value).count("Connection refused") == 1
    assert "Connection refused" not in capfd.readouterr().err + caplog.text


def test_topics_of_a_broker_that_is_not_there_cannot_be_compared() -> None:
    with pytest.raises(KafkaUnreachable):
        differences(Settings(kafka=f"127.0.0.1:{free_port()}"))


def test_what_the_library_says_goes_to_the_logger(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = producer(Settings(kafka=f"127.0.0.1:{free_port()}"))
    for _ in range(50):
        client.poll(0.1)
        if caplog.records:
            break
    assert "Connection refused" in caplog.text
    assert capfd.readouterr().err == ""
