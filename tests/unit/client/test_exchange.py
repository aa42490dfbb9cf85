from __future__ import annotations

import asyncio

import pytest

from streams.client import BlockingConnectClient
from streams.client.exchange import Awaited, _answer
from streams.errors import KafkaUnreachable, OwnerUnavailable
from streams.settings import Settings

TIMEOUT_S = 2.0


async def test_a_command_that_never_reached_kafka_is_not_the_owners_fault() -> None:
    awaited = Awaited(asyncio.get_running_loop())
    with pytest.raises(KafkaUnreachable, match="command c1 did not reach Kafka"):
        _answer(awaited, "command c1", TIMEOUT_S)
    awaited.undelivered = None
    with pytest.raises(OwnerUnavailable, match="command c1"):
        _answer(awaited, "command c1", TIMEOUT_S)


def test_a_blocking_client_without_kafka_says_so_and_leaves_no_thread() -> None:
    client = BlockingConnectClient(Settings(kafka="127.0.0.1:1"))
    with pytest.raises(KafkaUnreachable), client:
        pass
    assert not client._thread.is_alive()
