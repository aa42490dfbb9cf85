"""Commands that break the contract: each is put aside with its place and the reason, and nothing stands still."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError, Message, Producer

from streams.client.blocking import BlockingConnectClient
from streams.devstack.process import wait_until
from tests.acceptance.command import RunningWorker
from tests.acceptance.place import PARTITIONS, Place

pytestmark = pytest.mark.kafka

ANSWER_SECONDS = 20.0
MEGABYTE = 1_000_000
PARTITION = 1

BAD = {
    "not JSON": (b"t1", b"connect, please", "not a command"),
    "an unknown type": (b"t1", b'{"type": "conect"}', "unknown type 'conect'"),
    "a wrong field": (b"t1", b'{"type": "connect", "colour": "red"}', "colour"),
    "a wrong field of the data": (b"t1", b'{"type": "connect", "data": {"wait": "for ever"}}', "data.wait"),
    "another tenant than the key": (b"t1", b'{"type": "connect", "tenant": "t2"}', "contradicts the key"),
    "a megabyte": (b"t1", b'{"type": "connect"}' + b" " * MEGABYTE, "bytes"),
    "no value": (b"t1", None, "the value is empty"),
    "an empty key": (b"", b'{"type": "connect"}', "the key is empty"),
}


@pytest.fixture(scope="module")
def worker(place: Place) -> Iterator[RunningWorker]:
    with RunningWorker(place.shell, place.directory / "worker.log") as running:
        running.await_ready(PARTITIONS)
        yield running


def produce(place: Place, key: bytes, value: bytes | None) -> int:
    """Write a command as any client would, and give its offset."""
    offsets: list[int | None] = []

    def arrived(error: KafkaError | None, message: Message) -> None:
        assert error is None
        offsets.append(message.offset())

    producer = Producer({"bootstrap.servers": place.settings.kafka, "message.max.bytes": 4 * MEGABYTE})
    headers: list[tuple[str, str | bytes | None]] = [("traceparent", b"as it was")]
    producer.produce(
        place.topics.commands, key=key, value=value, partition=PARTITION, headers=headers, callback=arrived
    )
    assert producer.flush(ANSWER_SECONDS) == 0
    (offset,) = offsets
    assert offset is not None
    return offset


def dead_letter(place: Place, offset: int) -> dict[str, Any]:
    found: list[dict[str, Any]] = []

    def parked() -> bool:
        source = {"topic": place.topics.commands, "partition": PARTITION, "offset": offset}
        letters = place.shell.read("dead-letters", "list")
        found[:] = [letter for letter in letters if letter["source"] == source]
        return bool(found)

    assert wait_until(parked, ANSWER_SECONDS)
    (letter,) = found
    return letter


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_put_aside_with_its_place_and_the_reason(place: Place, what: str) -> None:
    key, value, reason = BAD[what]
    letter = dead_letter(place, produce(place, key, value))
    assert letter["error"]["code"] == "invalid_command"
    assert reason in letter["error"]["message"]
    assert letter["key"] == key.decode()
    assert letter["value_bytes"] == (None if value is None else len(value))
    with BlockingConnectClient(place.settings) as client:
        assert client.status("t1").lifecycle == "absent"


@pytest.mark.usefixtures("worker")
def test_a_dead_letter_can_be_sent_again_byte_for_byte(place: Place) -> None:
    letter = dead_letter(place, produce(place, b"t1", b"once more"))
    before = len(place.shell.read("dead-letters", "list"))
    place.shell.read("dead-letters", "requeue", str(letter["partition"]), str(letter["offset"]))
    letters: list[dict[str, Any]] = []

    def twice() -> bool:
        letters[:] = place.shell.read("dead-letters", "list")
        return len(letters) > before

    assert wait_until(twice, ANSWER_SECONDS)
    again = [found for found in letters if found["value"] == "once more"]
    assert len(again) == 2
    assert [found["headers"] for found in again] == 2 * [[{"name": "traceparent", "value": "as it was"}]]
