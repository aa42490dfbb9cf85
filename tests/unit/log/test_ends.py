"""How long is waited for the end of a partition whose leader is gone."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from streams.log import ends
from streams.log.ends import Ends

END = 7


class Leaderless:
    """A client of the library's whose leader is gone for so many requests; it connects to nobody."""

    def __init__(self, requests: int) -> None:
        self.left = requests
        self.timeouts: list[float] = []

    def list_offsets(self, wanted: Any, *, request_timeout: float) -> dict[TopicPartition, Future[Any]]:
        self.timeouts.append(request_timeout)
        found: Future[Any] = Future()
        if self.left:
            self.left -= 1
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
async def test_who_asks_after_a_leader_came_back_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ends, "RETRY_INTERVAL_S", 0.0)
    client: Any = Leaderless(requests=2)
    asked = Ends(client)

    await asked.end("events", 0)
    client.timeouts.clear()
    await asked.end("events", 0)

    assert client.timeouts == [1.0]
