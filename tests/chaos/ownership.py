"""Who owns what: the newest claim that counts on the log, where the process that made it still holds it.

Neither alone is enough. A worker that was deposed says what it said last, and the log goes on naming one that is dead,
or that let go and was not followed yet.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Final, NamedTuple

from confluent_kafka import Consumer, TopicPartition

from streams.kafka.clients import consumer_configuration
from streams.settings import Settings
from streams.topics import Topics

CLAIMED: Final = b'"partition.claimed"'
RELEASED: Final = b'"partition.released"'
CLAIM: Final = b'"connect.claimed"'

RECORDS_MAX: Final = 1_000
"""Records that are looked at in one go."""

WAIT_S: Final = 0.1
END_S: Final = 5.0


class Claim(NamedTuple):
    """A claim on a partition.

    Attributes:
        offset: where it stands.
        rank: its term and generation.
    """

    offset: int
    rank: tuple[int, int]


class Claims:
    """The newest claim that counts, by partition: one counts unless its rank is below that of the one before."""

    def __init__(self) -> None:
        self._newest: dict[int, Claim] = {}

    def note(self, partition: int | None, offset: int | None, value: bytes | None) -> None:
        """A record of the events topic; they are told in order within each partition."""
        if partition is None or offset is None or value is None or CLAIM not in value:
            return
        body = json.loads(value)
        if body["type"] != "connect.claimed":
            return
        rank = (body["data"]["term"], body["data"]["generation"])
        before = self._newest.get(partition)
        if before is None or rank >= before.rank:
            self._newest[partition] = Claim(offset, rank)

    def newest(self, partition: int) -> int | None:
        """Offset of the claim that counts, None where there is none."""
        claim = self._newest.get(partition)
        return None if claim is None else claim.offset

    def owned(self, held: Mapping[int, int]) -> list[int]:
        """Of the partitions that a process holds, each by a claim, those that are its own."""
        return sorted(number for number, offset in held.items() if self.newest(number) == offset)


class Holdings:
    """What a process holds, by what it logs: partitions, each with the offset of its claim."""

    def __init__(self) -> None:
        self.held: dict[int, int] = {}

    def read(self, line: bytes) -> None:
        """A line of its log."""
        if CLAIMED in line:
            said = json.loads(line)
            self.held[said["partition"]] = said["claim"]
        elif RELEASED in line:
            self.held.pop(json.loads(line)["partition"], None)


class ClaimReader:
    """Reads the events topic as it grows, in a thread of its own.

    Args:
        settings: the region's.

    Attributes:
        claims: what it read so far; a broker that is away delays it.
    """

    def __init__(self, settings: Settings) -> None:
        self.claims = Claims()
        self._settings = settings
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._read, name="claims", daemon=True)

    def start(self) -> None:
        """Begin at the topic's beginning."""
        self._thread.start()

    def stop(self) -> None:
        """Read no more."""
        self._ending.set()
        self._thread.join(END_S)

    def _read(self) -> None:
        topic = Topics(self._settings).events
        consumer = Consumer(consumer_configuration(self._settings, "chaos-claims"))
        try:
            consumer.assign([TopicPartition(topic, number, 0) for number in range(self._settings.partitions)])
            while not self._ending.is_set():
                for message in consumer.consume(RECORDS_MAX, WAIT_S):
                    # A broker that is away is part of a round, and reading goes on when it is back.
                    if message.error() is None:
                        self.claims.note(message.partition(), message.offset(), message.value())
        finally:
            consumer.close()
