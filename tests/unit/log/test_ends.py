"""How long is waited for the end of a partition whose leader is gone."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import OFFSET_INVALID, KafkaError, KafkaException, TopicPartition

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


@pytest.mark.asyncio
async def test_who_asks_after_a_leader_came_back_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ends, "RETRY_INTERVAL_S", 0.0)
    client: Any = Leaderless(requests=2)
    asked = Ends(client)

    await asked.end("events", 0)
    client.timeouts.clear()
    await asked.end("events", 0)

    assert client.timeouts == [1.0]
