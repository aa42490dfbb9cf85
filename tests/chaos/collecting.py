"""Reading what a round has left on its topics and in its workers' logs."""

from __future__ import annotations

import time
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from streams.kafka.clients import consumer_configuration
from streams.settings import Settings
from streams.topics import Topics
from tests.chaos.evidence import Evidence, Raw
from tests.chaos.workers import Crew

READ_S: Final = 60.0
"""How long reading one topic may take."""

AGAIN_S: Final = 0.2


def collect(settings: Settings, evidence: Evidence, crew: Crew) -> None:
    """Read all topics as they are now, and all logs."""
    topics = Topics(settings)
    evidence.events = read_all(settings, topics.events)
    names = {
        "commands": topics.commands,
        "region commands": topics.region_commands,
        "replies": topics.replies,
        "tenants": topics.tenants,
        "broadcasts": topics.broadcasts,
        "positions": topics.positions,
        "dead letters": topics.dead_letters,
    }
    evidence.topics = {name: read_all(settings, topic) for name, topic in names.items()}
    evidence.logs = {worker.name: worker.log_path.read_bytes() for worker in crew.workers}


def read_all(settings: Settings, topic: str) -> list[Raw]:
    """A topic as it is now, in order within each partition."""
    consumer = Consumer({**consumer_configuration(settings, "chaos"), "enable.partition.eof": False})
    found: list[Raw] = []
    try:
        ends = {}
        for number in range(settings.partitions):
            ends[number] = _end(consumer, TopicPartition(topic, number))
        wanted = {number for number, end in ends.items() if end}
        consumer.assign([TopicPartition(topic, number, 0) for number in wanted])
        deadline = time.monotonic() + READ_S
        while wanted and time.monotonic() < deadline:
            for message in consumer.consume(1000, 0.2):
                assert message.error() is None, message.error()
                found.append(_raw(message))
            positions = consumer.position([TopicPartition(topic, number) for number in wanted])
            wanted -= {place.partition for place in positions if place.offset >= ends[place.partition]}
        assert not wanted, f"{topic} was not read to its end"
    finally:
        consumer.close()
    return found


def _end(consumer: Consumer, partition: TopicPartition) -> int:
    """Where a partition ends, as soon as it has a leader: a machine that is very busy may have lost it for a moment."""
    deadline = time.monotonic() + READ_S
    while True:
        try:
            return int(consumer.get_watermark_offsets(partition, timeout=READ_S)[1])
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            consumer.poll(AGAIN_S)


def _raw(message: Any) -> Raw:
    return Raw(message.partition(), message.offset(), message.timestamp()[1], message.key(), message.value())
