"""Canaries: a worker that reads nothing though there is something ends, and no other does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError
from faust.types import TP

from streams.engine.canary import EXCUSED_MAX, Canaries
from streams.errors import ConsumerSilent
from streams.worker.run import CANARY, Run

PLACE, OTHER = TP("commands", 0), TP("commands", 1)
LOOKS = 6


class Topic:
    """Takes what is sent; a test says what becomes of it."""

    def __init__(self) -> None:
        self.sent: list[TP] = []
        self._reports: list[Callable[[KafkaError | None, Any], None]] = []

    def produce(self, topic: str, *, value: bytes, partition: int, on_delivery: Any) -> None:
        assert value == CANARY
        self.sent.append(TP(topic, partition))
        self._reports.append(on_delivery)

    def poll(self, timeout: float) -> None:
        assert timeout == 0

    def answers(self, error: KafkaError | None = None) -> None:
        """All that was sent arrived, or was refused."""
        reports, self._reports = self._reports, []
        for report in reports:
            report(error, None)


class Watch:
    """Canaries over two partitions."""

    def __init__(self) -> None:
        self.topic = Topic()
        self.places: set[TP] | None = {PLACE, OTHER}
        self.canaries = Canaries(self.topic, lambda: self.places, 5.0, 5.0 * LOOKS)  # type: ignore[arg-type]

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.canaries.look()


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_a_partition_that_is_not_read_though_there_is_something_ends_the_worker(watch: Watch) -> None:
    watch.look()
    watch.topic.answers()
    watch.canaries.heard(OTHER)
    watch.look(LOOKS - 1)
    with pytest.raises(ConsumerSilent, match=r"^commands:0: nothing was read for 30 s"):
        watch.look()


def test_partitions_that_are_read_are_sent_to_again_and_again(watch: Watch) -> None:
    for _ in range(3 * LOOKS):
        watch.look()
        watch.topic.answers()
        watch.canaries.heard(PLACE)
        watch.canaries.heard(OTHER)
    assert len(watch.topic.sent) == 2 * 3 * LOOKS


def test_a_canary_that_does_not_arrive_says_nothing(watch: Watch) -> None:
    for _ in range(3 * LOOKS):
        watch.look()
        watch.topic.answers(KafkaError(KafkaError._MSG_TIMED_OUT))


def test_one_that_is_on_its_way_is_not_waited_for(watch: Watch) -> None:
    watch.look(3 * LOOKS)
    assert sorted(watch.topic.sent) == [PLACE, OTHER]


def test_a_rebalance_begins_the_count_anew(watch: Watch) -> None:
    watch.look()
    watch.topic.answers()
    watch.look(LOOKS - 1)
    watch.places, places = None, watch.places
    watch.look()
    watch.places = places
    watch.look()
    watch.topic.answers()
    watch.look(LOOKS - 1)


def test_a_partition_that_went_to_another_worker_is_not_waited_for(watch: Watch) -> None:
    watch.look()
    watch.topic.answers()
    watch.canaries.heard(OTHER)
    watch.places = {OTHER}
    for _ in range(3 * LOOKS):
        watch.look()
        watch.topic.answers()
        watch.canaries.heard(OTHER)


def test_what_is_behind_runs_that_are_done_one_after_another_may_take_as_long_as_they_do(watch: Watch) -> None:
    watch.look()
    watch.topic.answers()
    for _ in range(LOOKS):
        watch.look(LOOKS - 1)
        watch.canaries.held_up()
    watch.look(LOOKS - 1)
    with pytest.raises(ConsumerSilent):
        watch.look()


def test_a_partition_that_is_not_read_is_found_however_busy_the_others_are(watch: Watch) -> None:
    watch.look()
    watch.topic.answers()
    for _ in range(EXCUSED_MAX * LOOKS - 1):
        watch.canaries.heard(OTHER)
        watch.look()
        watch.canaries.held_up()
    with pytest.raises(ConsumerSilent, match=r"^commands:0: nothing was read for 300 s"):
        watch.look()


class Stored:
    """A record of a topic."""

    def __init__(self, key: bytes | None, value: bytes | None) -> None:
        self.offset, self.key, self.value = 0, key, value
        self.headers: tuple[tuple[str, bytes | None], ...] = ()


def test_a_canary_is_no_command_and_what_only_looks_like_one_is() -> None:
    records = [Stored(None, CANARY), Stored(b"t1", CANARY), Stored(None, b"{}"), Stored(None, None)]
    assert list(Run("commands", 0, records, None).commands()) == records[1:]
