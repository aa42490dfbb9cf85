"""What the client makes of replies, answered here by hand in an owner's place."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from statemachine import TenantState
from statemachine.commands import Status
from streams.client import ConnectClient
from streams.kafka.clients import consumer_configuration, producer
from streams.log.reader import open_consumer, read, stretches
from streams.settings import Settings
from streams.topics import Topics
from streams.wire.reply import Owner, Position, Reply, ReplyError, encode_reply, status_of

pytestmark = pytest.mark.kafka

FLUSH_TIMEOUT_S = 30.0
ANSWER_TIMEOUT_S = 30.0
NOW = datetime(2030, 1, 1, tzinfo=UTC)


class Asked(NamedTuple):
    """A command on its way."""

    id: str
    answer: asyncio.Task[Reply]


class Owners:
    """Answers by hand, under any claim."""

    def __init__(self, settings: Settings, client: ConnectClient) -> None:
        self._settings = settings
        self._client = client
        self._producer = producer(settings)

    def ask(self, command_id: str) -> Asked:
        work = self._client.send("t1", Status(), timeout_s=ANSWER_TIMEOUT_S, command_id=command_id)
        return Asked(command_id, asyncio.create_task(work))

    async def reply(self, asked: Asked, claim: int, error: ReplyError | None = None, partition: int = 0) -> None:
        status = status_of(TenantState("t1"), Owner(f"w{claim}", claim))
        place = Position("events", partition, claim)
        outcome = "error" if error else "ok"
        await self.write(asked, encode_reply(Reply(asked.id, "t1", outcome, error, status, None, place, claim, NOW)))

    async def write(self, asked: Asked, value: bytes | None) -> None:
        address = (await self._command(asked))["reply_to"]
        self._producer.produce(address["topic"], key=asked.id, value=value, partition=address["partition"])
        assert await asyncio.to_thread(self._producer.flush, FLUSH_TIMEOUT_S) == 0

    async def _command(self, asked: Asked) -> dict[str, Any]:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            while True:
                for command in await asyncio.to_thread(self._commands):
                    if command["id"] == asked.id:
                        return command

    def _commands(self) -> list[dict[str, Any]]:
        topic = Topics(self._settings).commands
        with open_consumer(consumer_configuration(self._settings, "owners")) as consumer:
            return [json.loads(record.value or b"") for record in read(consumer, topic, stretches(consumer, topic))]


async def test_an_owner_that_was_deposed_is_not_believed(settings: Settings) -> None:
    async with ConnectClient(settings) as client:
        owners = Owners(settings, client)
        first = owners.ask("c1")
        await owners.reply(first, claim=7)
        assert (await first.answer).claim == 7
        second = owners.ask("c2")
        await owners.reply(second, claim=3)
        elsewhere = owners.ask("c3")
        await owners.reply(elsewhere, claim=3, partition=1)
        assert (await elsewhere.answer).claim == 3
        assert not second.answer.done()
        await owners.reply(second, claim=9)
        assert (await second.answer).claim == 9


async def test_a_reply_that_cannot_be_read_is_passed_over(settings: Settings) -> None:
    async with ConnectClient(settings) as client:
        owners = Owners(settings, client)
        asked = owners.ask("c1")
        await owners.write(asked, b"garbage")
        await owners.write(asked, None)
        await owners.reply(asked, claim=1)
        assert (await asked.answer).claim == 1


async def test_a_reply_to_nobody_is_passed_over(settings: Settings) -> None:
    async with ConnectClient(settings) as client:
        owners = Owners(settings, client)
        asked = owners.ask("c1")
        await owners.reply(asked, claim=1)
        await owners.reply(asked, claim=1)
        assert (await asked.answer).claim == 1
        again = owners.ask("c2")
        await owners.reply(again, claim=1)
        assert (await again.answer).command == "c2"


async def test_an_error_of_a_newer_service_keeps_its_code(settings: Settings) -> None:
    async with ConnectClient(settings) as client:
        owners = Owners(settings, client)
        asked = owners.ask("c1")
        await owners.reply(asked, claim=1, error=ReplyError("moon_is_full", "wait", NOW))
        reply = await asked.answer
    assert reply.error is not None
    assert reply.error.code == "moon_is_full"
