"""Commands: each is acted on once, answered, and nothing blocks behind a bad one."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from statemachine.commands import Command, Connect, PauseTenant, ResumeTenant, Status
from streams.client import ConnectClient
from streams.kafka.partitioner import partition_of
from streams.wire.command import ReplyTo, Request, encode_command
from tests.integration.worker.scene import Scene, TenantDatabase
from tests.support.waiting import DEADLINE_S, until

pytestmark = pytest.mark.kafka

PAUSED_S = 2.0


async def test_commands_that_are_read_again_are_answered_again_and_do_nothing_twice(scene: Scene) -> None:
    asked: dict[str, Command] = {"a": PauseTenant("one"), "b": ResumeTenant(), "c": PauseTenant("two"), "d": Status()}
    async with scene.working(), ConnectClient(scene.settings) as client:
        for command_id, command in asked.items():
            reply = await client.send("t1", command, timeout_s=DEADLINE_S, command_id=command_id)
            assert reply.outcome == "ok"
    before = scene.timeline("t1")
    for times, topic in enumerate((scene.topics.region_commands, scene.topics.commands), start=2):
        scene.rewind(topic)
        async with scene.working():
            await until(partial(_answered, scene, asked, times))
    assert scene.timeline("t1") == before
    assert [event.data.type for event in before] == ["connect.paused", "connect.resumed", "connect.paused"]
    assert {reply.outcome for replies in scene.replies().values() for reply in replies} == {"ok"}
    scene.audit()


async def test_a_command_that_did_nothing_does_nothing_when_it_is_forwarded_again(scene: Scene) -> None:
    async with scene.working(), ConnectClient(scene.settings) as client:
        await client.send("t1", ResumeTenant(), timeout_s=DEADLINE_S, command_id="nothing to lift")
        await client.send("t1", PauseTenant(), timeout_s=DEADLINE_S, command_id="hold")
    scene.rewind(scene.topics.commands)
    async with scene.working():
        await until(lambda: len(scene.replies()["hold"]) == 2)
    assert scene.events("t1") == ["connect.paused"]


async def test_a_client_that_asks_again_under_the_same_id_is_answered_and_nothing_happens_twice(scene: Scene) -> None:
    async with scene.working(), ConnectClient(scene.settings) as client:
        first = await client.send("t1", PauseTenant(), timeout_s=DEADLINE_S, command_id="same")
        await client.send("t1", ResumeTenant(), timeout_s=DEADLINE_S)
        second = await client.send("t1", PauseTenant(), timeout_s=DEADLINE_S, command_id="same")
    assert (first.outcome, second.outcome) == ("ok", "ok")
    assert scene.events("t1") == ["connect.paused", "connect.resumed"]


async def test_an_owner_does_not_fetch_its_own_events(scene: Scene) -> None:
    async with scene.working() as worker, ConnectClient(scene.settings) as client:
        await client.send("t1", PauseTenant(), timeout_s=DEADLINE_S)
        consumer = worker._engine._consumer._thread._ensure_consumer()
        events = {(scene.topics.events, partition) for partition in range(scene.settings.partitions)}
        assert {tuple(place) for place in consumer.paused()} == events


async def test_what_breaks_the_contract_is_parked_and_what_comes_behind_is_handled(scene: Scene) -> None:
    async with scene.working(), ConnectClient(scene.settings) as client:
        bad = _bad_records(scene)
        scene.produce(scene.topics.commands, bad.values())
        reply = await client.send("t1", Status(), timeout_s=DEADLINE_S)
        assert reply.outcome == "ok"
        await until(lambda: len(scene.records(scene.topics.dead_letters)) == len(bad))
        letters = scene.records(scene.topics.dead_letters)
        found = [(letter.key, letter.value) for letter in letters]
        assert sorted(found, key=_sortable) == sorted(bad.values(), key=_sortable)
        for letter in letters:
            headers = {name: (value or b"").decode() for name, value in letter.headers}
            assert headers["topic"] == scene.topics.commands
            assert headers["error_code"] == "invalid_command"
            assert headers["error_message"]
            (original,) = [
                record
                for record in scene.records(scene.topics.commands)
                if (record.partition, record.offset) == (int(headers["partition"]), int(headers["offset"]))
            ]
            assert (original.key, original.value) == (letter.key, letter.value)
        answered = {"field", "type", "tenant", "key"}
        await until(lambda: answered <= scene.replies().keys())
        for name in answered:
            (refusal,) = scene.replies()[name]
            assert refusal.error is not None
            assert (refusal.outcome, refusal.error.code) == ("error", "invalid_command")
        assert not {"elsewhere", "large"} & scene.replies().keys()
    assert scene.events("t1") == []


async def test_a_command_in_the_wrong_partition_is_routed_and_one_of_the_owners_topic_is_refused(scene: Scene) -> None:
    wrong = (partition_of("t1", scene.settings.partitions) + 1) % scene.settings.partitions
    address = ReplyTo(scene.topics.replies, 0)
    routed, refused = (encode_command(Request(name, "t1", PauseTenant(), address)) for name in ("routed", "refused"))
    async with scene.working():
        scene.produce(scene.topics.commands, [(b"t1", routed)], wrong)
        scene.produce(scene.topics.region_commands, [(b"t1", refused)], wrong)
        await until(lambda: scene.replies().keys() >= {"routed", "refused"})
    replies = scene.replies()
    assert [reply.outcome for reply in replies["routed"]] == ["ok"]
    assert [reply.outcome for reply in replies["refused"]] == ["error"]
    assert scene.events("t1") == ["connect.paused"]
    (letter,) = scene.records(scene.topics.dead_letters)
    assert letter.value == refused


async def test_a_tenant_that_nobody_knows_is_answered_so(scene: Scene) -> None:
    async with scene.working(), ConnectClient(scene.settings) as client:
        reply = await client.send("nobody", Connect(), timeout_s=DEADLINE_S)
    assert reply.error is not None
    assert reply.error.code == "tenant_not_found"
    assert scene.events("nobody") == []


async def test_a_pause_with_an_end_lifts_itself(scene: Scene) -> None:
    async with scene.working(), ConnectClient(scene.settings) as client:
        due = datetime.now(UTC) + timedelta(seconds=PAUSED_S)
        await client.pause("t1", until=due)
        await until(lambda: scene.events("t1") == ["connect.paused", "connect.resumed"])
    resumed = scene.timeline("t1")[-1]
    assert resumed.causation == "timer:pause"
    assert resumed.time >= due


async def test_a_pause_lifts_itself_under_a_later_owner(scene: Scene) -> None:
    async with scene.working(), ConnectClient(scene.settings) as client:
        due = datetime.now(UTC) + timedelta(seconds=PAUSED_S)
        await client.pause("t1", until=due)
    assert scene.events("t1") == ["connect.paused"]
    async with scene.working():
        await until(lambda: scene.events("t1") == ["connect.paused", "connect.resumed"])
    paused, resumed = scene.timeline("t1")
    assert resumed.claim > paused.claim
    assert resumed.time >= due


@pytest.mark.postgres
async def test_a_reload_stops_the_tenant_and_connects_it_again(scene: Scene, database: TenantDatabase) -> None:
    async with scene.working(), ConnectClient(scene.settings) as client:
        await client.connect("t1")
        before = await database.sessions()
        status = await client.reload("t1")
        assert status.lifecycle == "ready"
        assert not before & await database.sessions()
    life = ["connect.requested", "connect.checked", "connect.provisioned"]
    assert scene.events("t1") == [*life, "connect.stopping", "connect.stopped", *life]
    assert await database.sessions() == set()


@pytest.mark.postgres
async def test_a_lost_database_comes_back_under_the_same_claim(scene: Scene, database: TenantDatabase) -> None:
    async with scene.working(), ConnectClient(scene.settings) as client:
        await client.connect("t1")
        before = await database.sessions()
        await database.end_sessions()
        await until(lambda: scene.events("t1")[-2:] == ["database.lost", "database.restored"])
        after = await database.sessions()
        assert len(after) == len(before)
        assert not before & after
        assert (await client.status("t1")).database == "up"
    assert len({event.claim for event in scene.timeline("t1")}) == 1
    async with scene.working(), ConnectClient(scene.settings) as client:
        assert (await client.status("t1")).lifecycle == "ready"
    scene.audit()


def _answered(scene: Scene, names: Iterable[str], times: int) -> bool:
    """Whether each of the commands was answered that often."""
    replies = scene.replies()
    return all(len(replies[name]) == times for name in names)


def _bad_records(scene: Scene) -> dict[str, tuple[bytes | None, bytes | None]]:
    def command(name: str, **fields: Any) -> bytes:
        address = {"topic": scene.topics.replies, "partition": 0}
        return json.dumps({"type": "pause", "id": name, "reply_to": address, **fields}).encode()

    large = command("large", data={"reason": "x" * scene.settings.value_bytes_max})
    return {
        "not JSON": (b"t1", b"{pause"),
        "null": (b"t1", None),
        "empty": (b"t1", b""),
        "type": (b"t1", command("type", type="explode")),
        "field": (b"t1", command("field", colour="red")),
        "tenant": (b"t1", command("tenant", tenant="t2")),
        "large": (b"t1", large),
        "key": (b"\xff", command("key")),
        "elsewhere": (b"t1", command("elsewhere", reply_to={"topic": scene.topics.events, "partition": 0})),
        "beyond": (b"t1", command("beyond", reply_to={"topic": scene.topics.replies, "partition": 4})),
    }


def _sortable(record: tuple[bytes | None, bytes | None]) -> tuple[bytes, bytes]:
    return record[0] or b"", record[1] or b""
