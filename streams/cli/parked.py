"""The dead-letter topic, read and written by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import KafkaError, Message

from streams.errors import DeliveryFailed, InputInvalid, TopicsDiffer
from streams.kafka.clients import consumer_configuration, reachable, repeating_producer
from streams.log.reader import Record, Stretch, open_consumer, read, stretches
from streams.settings import Settings
from streams.topics import Topics

HEADERS: Final = frozenset({"topic", "partition", "offset", "error_code", "error_message"})
"""Headers that parking adds."""

VALUE_CHARACTERS_MAX: Final = 1_000
"""How much of a value is told to programs; the whole stays on the topic."""


@dataclass(frozen=True, slots=True)
class Parked:
    """A dead letter.

    Attributes:
        letter: the record on the dead-letter topic, key and value as they were.
        topic: where it came from.
        partition: where it came from.
        offset: where it came from.
        code: what is wrong with it.
        message: the same in words.
    """

    letter: Record
    topic: str
    partition: int
    offset: int
    code: str
    message: str

    @property
    def key_text(self) -> str | None:
        """The key as text, bytes that are none escaped."""
        return None if self.letter.key is None else self.letter.key.decode(errors="backslashreplace")

    def value_text(self, characters_max: int) -> str | None:
        """The beginning of the value as text; None for a null value."""
        if self.letter.value is None:
            return None
        text = self.letter.value[: 4 * characters_max].decode(errors="backslashreplace")
        return text if len(text) <= characters_max else text[:characters_max] + "…"

    @property
    def own_headers(self) -> list[tuple[str, str | bytes | None]]:
        """The headers that the record had before it was put aside."""
        return [(name, value) for name, value in self.letter.headers if name not in HEADERS]

    def record(self) -> dict[str, Any]:
        """The dead letter for programs."""
        return {
            "partition": self.letter.partition,
            "offset": self.letter.offset,
            "timestamp_ms": self.letter.timestamp_ms,
            "source": {"topic": self.topic, "partition": self.partition, "offset": self.offset},
            "error": {"code": self.code, "message": self.message},
            "headers": [
                {"name": name, "value": value.decode(errors="backslashreplace") if isinstance(value, bytes) else value}
                for name, value in self.own_headers
            ],
            "key": self.key_text,
            "value": self.value_text(VALUE_CHARACTERS_MAX),
            "value_bytes": None if self.letter.value is None else len(self.letter.value),
        }


def parked(settings: Settings) -> list[Parked]:
    """Every dead letter that is there now, oldest first.

    Raises:
        KafkaUnreachable: no broker answered.
        TopicsDiffer: there is no dead-letter topic.
        WaitExpired: the reading got stuck.
    """
    return sorted(_read(settings, None), key=lambda found: (found.letter.timestamp_ms, found.letter.partition))


def produce_again(settings: Settings, partition: int, offset: int) -> str:
    """Write a dead letter to the topic it came from, its own headers with it; gives the topic.

    Raises:
        InputInvalid: there is no such dead letter, or it came from a topic that is not written to by clients.
        DeliveryFailed: Kafka did not acknowledge it.
        KafkaUnreachable: no broker answered.
    """
    found = next(iter(_read(settings, Stretch(partition, offset, offset + 1))), None)
    if found is None:
        raise InputInvalid(
            f"there is no dead letter {partition}:{offset}; `tenant-connect dead-letters list` shows all"
        )
    topics = Topics(settings)
    if found.topic not in {topics.commands, topics.region_commands, topics.users}:
        raise InputInvalid(f"dead letter {partition}:{offset} came from {found.topic!r}, which takes no letters back")
    _produce(settings, found)
    return found.topic


def _produce(settings: Settings, found: Parked) -> None:
    outcome: list[KafkaError | None] = []

    def arrived(error: KafkaError | None, _message: Message) -> None:
        outcome.append(error)

    client = repeating_producer(settings)
    client.produce(
        found.topic, key=found.letter.key, value=found.letter.value, headers=found.own_headers, on_delivery=arrived
    )
    client.flush(settings.delivery_timeout_ms / 1000)
    if not outcome:
        raise DeliveryFailed(f"{found.topic}: no acknowledgement within {settings.delivery_timeout_ms} ms")
    if outcome[0] is not None:
        raise DeliveryFailed(f"{found.topic}: {outcome[0].str()}")


def _read(settings: Settings, wanted: Stretch | None) -> list[Parked]:
    reachable(settings)
    topic = Topics(settings).dead_letters
    # No offset is ever committed: the name of the group is only a name.
    with open_consumer(consumer_configuration(settings, f"{topic}.reader")) as consumer:
        every = stretches(consumer, topic)
        if not every:
            raise TopicsDiffer(f"{topic} is missing")
        if wanted is not None:
            every = [wanted for each in every if each.partition == wanted.partition and _within(wanted, each)]
        return [_parked(record) for record in read(consumer, topic, every)]


def _within(wanted: Stretch, all_of_it: Stretch) -> bool:
    return all_of_it.first <= wanted.first and wanted.end <= all_of_it.end


def _parked(record: Record) -> Parked:
    # Parking puts its headers last, so a record cannot speak for itself with headers of the same names.
    headers = {name: (value or b"").decode(errors="backslashreplace") for name, value in record.headers}
    return Parked(
        letter=record,
        topic=headers.get("topic", ""),
        partition=_number(headers.get("partition")),
        offset=_number(headers.get("offset")),
        code=headers.get("error_code", ""),
        message=headers.get("error_message", ""),
    )


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() else -1
