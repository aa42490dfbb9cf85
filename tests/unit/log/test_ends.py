"""How long is waited for the end of a partition whose leader is gone."""

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

END = 7


class Leaderless:
    """A client of the library's whose leader is gone for so many requests; it connects to nobody.

    Args:
        requests: how many.
        silent: the leader is there and says nothing, for which the client has an answer that is none.
    """

    def __init__(self, requests: int, *, silent: bool = False) -> None:
        self.left = requests
        self.silent = silent
        self.timeouts: list[float] = []

    def list_offsets(self, wanted: Any, *, request_timeout: float) -> dict[TopicPartition, Future[Any]]:
        self.timeouts.append(request_timeout)
        found: Future[Any] = Future()
        if self.left:
            self.left -= 1
            if self.silent:
                found.set_result(SimpleNamespace(offset=OFFSET_INVALID))
                return dict.fromkeys(wanted, found)
            found.set_exception(KafkaException(KafkaError(KafkaError._TIMED_OUT)))
        else:
            found.set_result(SimpleNamespace(offset=END))
        return dict.fromkeys(wanted, found)

    def list_topics(self, *_: Any, **_named: Any) -> None:
        """Nobody answers."""


@pytest.mark.asyncio
async def test_a_leader_that_is_gone_is_waited_for_shortly_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ends, "RETRY_INTERVAL_S", 0.0)
    client: Any = Leaderless(requests=5)

    assert await Ends(client).end("events", 0) == END

    assert client.timeouts == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


@pytest.mark.asyncio
async def test_what_the_client_gives_where_the_leader_is_silent_is_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ends, "RETRY_INTERVAL_S", 0.0)
    client: Any = Leaderless(requests=2, silent=True)

    assert await Ends(client).end("events", 0) == END

    assert client.timeouts == [1.0, 2.0, 4.0]


class OneSilent:
    """A client of the library's; the leader of partition 0 says nothing."""

    def __init__(self) -> None:
        self.asked: list[set[int]] = []

    def list_offsets(self, wanted: Any, **_: Any) -> dict[TopicPartition, Future[Any]]:
        self.asked.append({place.partition for place in wanted})
        found: dict[TopicPartition, Future[Any]] = {place: Future() for place in wanted}
        for place, answer in found.items():
            answer.set_result(SimpleNamespace(offset=END if place.partition else OFFSET_INVALID))
        return found

    def list_topics(self, *_: Any, **_named: Any) -> None:
        """Who leads is known."""


@pytest.mark.asyncio
async def test_nobody_waits_for_the_leader_of_another_partition_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ends, "RETRY_INTERVAL_S", 0.0)
    client: Any = OneSilent()
    asked = Ends(client)
    unanswered = asyncio.create_task(asked.end("events", 0))
    for _ in range(5):
        assert await asked.end("events", 1) == END
    assert client.asked.count({0, 1}) == 1
    assert client.asked.count({1}) == 4
    unanswered.cancel()


class Broken:
    """A client of the library's that cannot ask."""

    def list_offsets(self, *_: Any, **_named: Any) -> None:
        raise RuntimeError("closed")


@pytest.mark.asyncio
async def test_whoever_asks_a_client_that_is_closed_is_told() -> None:
    client: Any = Broken()
    asked = Ends(client)
    for _ in range(2):
        with pytest.raises(KafkaUnreachable, match="closed"):
            await asked.end("events", 0)


@pytest.mark.asyncio
async def test_who_asks_after_a_leader_came_back_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ends, "RETRY_INTERVAL_S", 0.0)
    client: Any = Leaderless(requests=2)
    asked = Ends(client)

    await asked.end("events", 0)
    client.timeouts.clear()
    await asked.end("events", 0)

    assert client.timeouts == [1.0]
