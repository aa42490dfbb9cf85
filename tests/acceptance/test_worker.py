"""A worker as a program: when it refuses to start, and how it ends."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # documented there, missing from its list of exports
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from streams.client.client import ConnectClient
from streams.devstack.kafka.server import KafkaServer
from streams.devstack.postgres import PostgresServer
from tests.acceptance.command import RunningWorker
from tests.acceptance.place import PARTITIONS, Place, held_sessions, make_place, make_tenant

pytestmark = pytest.mark.kafka

ANSWER_SECONDS = 20.0


def set_policy(place: Place, topic: str, name: str, value: str) -> None:
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    client = AdminClient({"bootstrap.servers": place.settings.kafka})
    for answer in client.incremental_alter_configs([resource]).values():
        answer.result(ANSWER_SECONDS)


def test_a_worker_refuses_to_start_on_another_number_of_partitions(place: Place) -> None:
    result = place.shell.run("worker", "--partitions", "8")
    assert result.code == 1
    assert f"{place.topics.events}: partitions is 4, declared is 8" in result.err
    assert "→ Run `tenant-connect topics apply`" in result.err


def test_a_worker_refuses_to_start_on_another_policy_until_it_is_mended(place: Place) -> None:
    set_policy(place, place.topics.events, "retention.ms", "1000")
    result = place.shell.run("worker")
    assert result.code == 1
    assert f"{place.topics.events}: retention.ms is 1000, declared is -1" in result.err
    assert place.shell.run("topics", "check").code == 1
    assert place.shell.run("topics", "apply").code == 0
    assert place.shell.run("topics", "check").code == 0


@pytest.mark.postgres
def test_a_worker_that_is_asked_to_stop_closes_every_session_and_ends_with_0(
    place: Place, postgres: PostgresServer
) -> None:
    entries = [make_tenant(postgres, tenant) for tenant in ("stop1", "stop2")]
    place.put(*entries)
    with RunningWorker(place.shell, place.directory / "stopping.log") as worker:
        worker.await_ready(PARTITIONS)
        asyncio.run(connect_all(place, [entry["tenant"] for entry in entries]))
        assert held_sessions(postgres, entries)
        worker.ask_to_stop()
        assert worker.await_end() == 0
        said = [line["event"] for line in worker.lines]
        assert said[-1] == "worker.stopped"
        assert "worker.stop_incomplete" not in said
    assert held_sessions(postgres, entries) == []


async def connect_all(place: Place, tenants: list[str]) -> None:
    async with ConnectClient(place.settings) as client:
        await asyncio.gather(*(client.connect(tenant) for tenant in tenants))


def test_garbage_on_the_log_ends_the_worker_and_is_named(kafka: KafkaServer, tmp_path: Path) -> None:
    place = make_place(kafka, tmp_path)
    producer = Producer({"bootstrap.servers": place.settings.kafka})
    producer.produce(place.topics.events, key=b"t1", value=b"garbage", partition=2)
    assert producer.flush(ANSWER_SECONDS) == 0
    with RunningWorker(place.shell, tmp_path / "worker.log") as worker:
        assert worker.await_end() == 1
    ending = worker.log_path.read_text().splitlines()[-2]
    assert ending.startswith(f"log_corrupt: {place.topics.events}:2:0: ")
    audit = place.shell.run("audit", "verify", "--json")
    assert audit.code == 1
    finding = audit.records[0]
    assert (finding["topic"], finding["partition"], finding["offset"]) == (place.topics.events, 2, 0)


def test_secrets_stay_out_of_the_log(place: Place) -> None:
    key = place.settings.encryption_keys["k1"].get_secret_value()
    assert len(base64.b64decode(key)) == 32
    for log in place.directory.glob("*.log"):
        assert key not in log.read_text()
