"""Where a partition ends, asked of leaders that are silent, gone, or others by now."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import OFFSET_INVALID, KafkaError, KafkaException, TopicPartition

from streams.errors import KafkaUnreachable
from streams.log import ends
from streams.log.ends import Ends
from tests.support.waiting import until

END = 7


class Cluster:
    """Brokers, and the library's client of them.

    Attributes:
        leaders: who leads each partition; partitions that are not here have a leader that nobody names.
        silent: brokers that give no answer; the client has one for them that is none, and no error.
        silences: silent answers that are left before every broker answers.
        asked: the partitions of each request, and how long it may take.
        looks: how often somebody looked who leads.
    """

    def __init__(self, leaders: dict[int, int], silent: set[int], silences: int = 1000) -> None:
        self.leaders = leaders
        self.silent = silent
        self.silences = silences
        self.asked: list[tuple[set[int], float]] = []
        self.looks = 0

    def list_offsets(self, wanted: Any, *, request_timeout: float) -> dict[TopicPartition, Future[Any]]:
        self.asked.append(({place.partition for place in wanted}, request_timeout))
        found: dict[TopicPartition, Future[Any]] = {place: Future() for place in wanted}
        for place, answer in found.items():
            answer.set_result(SimpleNamespace(offset=self._offset(place.partition)))
        return found

    def list_topics(self, topic: str, **_: Any) -> SimpleNamespace:
        self.looks += 1
        if not self.leaders:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        partitions = {number: SimpleNamespace(leader=leader) for number, leader in self.leaders.items()}
        return SimpleNamespace(topics={topic: SimpleNamespace(partitions=partitions)})

    def _offset(self, partition: int) -> int:
        if self.leaders.get(partition, 1) in self.silent and self.silences:
            self.silences -= 1
            return OFFSET_INVALID
        return END

    @property
    def timeouts(self) -> list[float]:
        return [timeout_s for _, timeout_s in self.asked]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses but those that a test is about."""
    monkeypatch.setattr(ends, "LOOK_INTERVAL_S", 0.0)
    monkeypatch.setattr(ends, "LEADER_PAUSE_S", 0.0)


def asked_of(client: Any) -> Ends:
    return Ends(client)


@pytest.mark.parametrize("leaders", [{0: 1}, {}])
async def test_a_leader_that_is_silent_is_waited_for_shortly_at_first(leaders: dict[int, int]) -> None:
    cluster = Cluster(leaders, silent={1}, silences=6)
    assert await asked_of(cluster).end("events", 0) == END
    first, *rest = cluster.timeouts
    assert first == 1.0
    assert sorted(rest) == rest
    assert rest[-3:] == [8.0, 8.0, 8.0] if not leaders else [4.0, 8.0, 8.0]


async def test_what_the_client_gives_where_the_leader_is_silent_is_no_end() -> None:
    assert await asked_of(Cluster({0: 1}, silent={1}, silences=2)).end("events", 0) == END


async def test_who_asks_after_a_leader_came_back_begins_anew() -> None:
    cluster = Cluster({0: 1}, silent={1}, silences=3)
    ends_ = asked_of(cluster)
    await ends_.end("events", 0)
    cluster.asked.clear()
    await ends_.end("events", 0)
    assert cluster.asked == [({0}, 1.0)]


async def test_another_leader_is_asked_at_once_and_the_silent_one_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ends, "LEADER_PAUSE_S", 1000.0)
    cluster = Cluster({0: 1}, silent={1})
    asking = asyncio.create_task(asked_of(cluster).end("events", 0))
    await looked(cluster, 20)
    # Once as everybody is, and once now that it is known who leads.
    assert cluster.timeouts == [1.0, 1.0]
    cluster.leaders[0] = 2
    assert await asking == END
    assert cluster.timeouts == [1.0, 1.0, 1.0]


async def test_the_same_leader_is_asked_at_once_when_brokers_that_were_all_gone_are_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ends, "LEADER_PAUSE_S", 1000.0)
    cluster = Cluster({0: 1}, silent={1})
    asking = asyncio.create_task(asked_of(cluster).end("events", 0))
    await looked(cluster, 3)
    cluster.leaders.clear()
    await looked(cluster, 3)
    cluster.silent.clear()
    cluster.leaders[0] = 1
    assert await asking == END


async def test_nobody_waits_for_the_leader_of_another_partition_twice() -> None:
    cluster = Cluster({0: 1, 1: 2}, silent={1})
    ends_ = asked_of(cluster)
    unanswered = asyncio.create_task(ends_.end("events", 0))
    for _ in range(5):
        assert await ends_.end("events", 1) == END
    together = [partitions for partitions, _ in cluster.asked if 1 in partitions]
    assert together.count({0, 1}) == 1
    assert together.count({1}) == 4
    unanswered.cancel()


async def test_who_waits_for_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ends, "PATIENCE_S", 0.05)
    with pytest.raises(KafkaUnreachable, match="no answer"):
        await asked_of(Cluster({0: 1}, silent={1})).end("events", 0)


class Slow(Cluster):
    """Its answers come when a test says so."""

    def __init__(self) -> None:
        super().__init__({0: 1}, silent=set())
        self.answers: list[Future[Any]] = []

    def list_offsets(self, wanted: Any, *, request_timeout: float) -> dict[TopicPartition, Future[Any]]:
        self.asked.append(({place.partition for place in wanted}, request_timeout))
        self.answers.append(Future())
        return dict.fromkeys(wanted, self.answers[-1])

    async def answer(self, number: int, offset: int) -> None:
        await until(lambda: len(self.answers) > number)
        self.answers[number].set_result(SimpleNamespace(offset=offset))


@pytest.mark.parametrize("silences", [0, 1])
async def test_nobody_is_answered_by_a_request_that_was_sent_before_they_asked(silences: int) -> None:
    slow = Slow()
    ends_ = asked_of(slow)
    first = asyncio.create_task(ends_.end("events", 0))
    for number in range(silences):
        await slow.answer(number, OFFSET_INVALID)
    await until(lambda: len(slow.answers) > silences)
    second = asyncio.create_task(ends_.end("events", 0))
    await asyncio.sleep(0)
    await slow.answer(silences, END)
    await slow.answer(silences + 1, END + 1)
    assert (await first, await second) == (END, END + 1)


class Closed:
    """A client of the library's that cannot ask."""

    def list_offsets(self, *_: Any, **_named: Any) -> None:
        raise RuntimeError("closed")


async def test_whoever_asks_a_client_that_is_closed_is_told() -> None:
    ends_ = asked_of(Closed())
    for _ in range(2):
        with pytest.raises(KafkaUnreachable, match="closed"):
            await ends_.end("events", 0)


async def looked(cluster: Cluster, times: int) -> None:
    """Return when somebody has looked so many times more who leads."""
    due = cluster.looks + times
    await until(lambda: cluster.looks >= due)
