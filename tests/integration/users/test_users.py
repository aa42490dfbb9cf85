from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from streams.client import BlockingConnectClient, ConnectClient
from streams.errors import InputInvalid, KafkaUnreachable, OwnershipLost
from streams.kafka.partitioner import partition_of
from streams.settings import Settings
from streams.users import Users
from streams.users.counts import KEPT_MS
from streams.users.following import TAKEOVER_MS_MAX
from tests.integration.users.conftest import Topic, Watcher, watching
from tests.support.waiting import until

pytestmark = pytest.mark.kafka

HOUR = timedelta(milliseconds=KEPT_MS)
MINUTE = timedelta(minutes=1)


def report(users: int, *, gateway: str = "g1", **more: int) -> bytes:
    return json.dumps({"gateway": gateway, "users": users, **more}).encode()


async def test_reports_of_gateways_are_summed_and_only_edges_are_told(
    watcher: Watcher, client: ConnectClient, partition: int
) -> None:
    users = watcher.users
    users.take(partition)
    await users.caught_up(partition)
    assert (users.known(partition), users.reported("t1"), users.empty_since("t1")) == (True, False, None)
    await client.report_users("t1", 2, gateway="g1")
    await client.report_users("t1", 3, gateway="g2")
    await until(lambda: users.count("t1") == 5)
    assert (watcher.edges, users.tenants_with_users(partition)) == (["t1"], frozenset({"t1"}))
    await client.report_users("t1", 0, gateway="g1")
    await client.report_users("t1", 0, gateway="g2")
    await until(lambda: watcher.edges == ["t1", "t1"])
    assert (users.count("t1"), users.tenants_with_users(partition)) == (0, frozenset())


async def test_users_whose_time_is_over_are_gone_since_that_moment(
    watcher: Watcher, topic: Topic, partition: int
) -> None:
    users = watcher.users
    users.take(partition)
    said = datetime.now(UTC).replace(microsecond=0)
    await topic.write(b"t1", report(2, ttl_ms=90_000), at=said)
    await until(lambda: watcher.edges == ["t1"])
    assert users.empty_since("t1") is None
    watcher.clock.ahead = timedelta(milliseconds=90_000)
    await until(lambda: watcher.edges == ["t1", "t1"])
    assert users.count("t1") == 0
    assert users.empty_since("t1") == said + timedelta(milliseconds=90_000)


async def test_a_new_owner_finds_the_moment_that_the_old_one_knew(
    watcher: Watcher, topic: Topic, settings: Settings, partition: int
) -> None:
    watcher.users.take(partition)
    began = datetime.now(UTC).replace(microsecond=0) - 10 * MINUTE
    await topic.write(b"t1", report(2), at=began)
    await topic.write(b"t1", report(1, gateway="g2"), at=began + timedelta(seconds=30))
    await topic.write(b"t1", report(0), at=began + timedelta(seconds=40))
    await topic.write(b"t1", report(0, gateway="g2"), at=began + timedelta(seconds=50))
    await topic.write(b"t1", report(0), at=began + 9 * MINUTE)
    await until(lambda: watcher.users.tally.read == 5)
    known = watcher.users.empty_since("t1")
    async with watching(settings) as successor:
        successor.users.take(partition)
        await successor.users.caught_up(partition)
        assert successor.users.empty_since("t1") == known == began + timedelta(seconds=50)
        assert successor.edges == []


async def test_a_partition_is_read_from_the_last_hour_on(
    watcher: Watcher, topic: Topic, partition: int, settings: Settings
) -> None:
    now = datetime.now(UTC)
    other = next(name for name in ("t8", "t12") if partition_of(name, settings.partitions) == partition)
    for _ in range(3):
        await topic.write(b"t1", report(0), at=now - HOUR - MINUTE)
    await topic.write(other.encode(), report(0), at=now - HOUR + MINUTE)
    watcher.users.take(partition)
    await watcher.users.caught_up(partition)
    assert (watcher.users.tally.read, watcher.users.reported(other), watcher.users.reported("t1")) == (1, True, False)


async def test_a_partition_whose_reports_are_all_old_is_followed_from_its_end_on(
    watcher: Watcher, topic: Topic, partition: int
) -> None:
    await topic.write(b"t1", report(1, ttl_ms=KEPT_MS), at=datetime.now(UTC) - HOUR - MINUTE)
    watcher.users.take(partition)
    await watcher.users.caught_up(partition)
    assert watcher.users.tally.read == 0
    await topic.write(b"t1", report(1))
    await until(lambda: watcher.edges == ["t1"])


async def test_who_is_used_already_is_told_when_the_partition_is_known(
    watcher: Watcher, client: ConnectClient, partition: int
) -> None:
    await client.report_users("t1", 4, gateway="g1")
    watcher.users.take(partition)
    await watcher.users.caught_up(partition)
    assert (watcher.edges, watcher.users.count("t1")) == (["t1"], 4)


async def test_an_unreadable_report_is_parked_and_stops_nothing_behind_it(
    watcher: Watcher, topic: Topic, settings: Settings, partition: int
) -> None:
    watcher.users.take(partition)
    await watcher.users.caught_up(partition)
    await topic.write(b"t1", b"{")
    await topic.write(b"t1", None)
    await topic.write(None, report(1), to=partition)
    await topic.write(b"t1", report(1), to=(partition + 1) % settings.partitions)
    await topic.write(b"t2", report(1), to=partition)
    await topic.write(b"t1", report(1))
    await until(lambda: watcher.edges == ["t1"])
    assert [(record.key, record.value, code) for record, code in watcher.unreadable] == [
        (b"t1", b"{", InputInvalid.code),
        (b"t1", None, InputInvalid.code),
        (None, report(1), InputInvalid.code),
        (b"t2", report(1), InputInvalid.code),
    ]
    assert watcher.users.tally.unreadable == 4


async def test_what_the_owner_before_has_parked_is_only_counted(watcher: Watcher, topic: Topic, partition: int) -> None:
    now = datetime.now(UTC)
    await topic.write(b"t1", b"old", at=now - timedelta(milliseconds=TAKEOVER_MS_MAX) - MINUTE)
    await topic.write(b"t1", b"new", at=now)
    watcher.users.take(partition)
    await watcher.users.caught_up(partition)
    await until(lambda: len(watcher.unreadable) == 1)
    assert watcher.unreadable[0][0].value == b"new"
    assert (watcher.users.tally.unreadable, watcher.users.tally.unparked) == (2, 1)


async def test_of_a_dropped_partition_nothing_is_known_and_nothing_is_told(
    watcher: Watcher, client: ConnectClient, settings: Settings, partition: int
) -> None:
    users = watcher.users
    for each in range(settings.partitions):
        users.take(each)
    await client.report_users("t1", 1, gateway="g1")
    await until(lambda: watcher.edges == ["t1"])
    users.drop(partition)
    users.drop(partition)
    assert (users.known(partition), users.count("t1"), users.tenants_with_users(partition)) == (False, 0, frozenset())
    await client.report_users("t1", 0, gateway="g1")
    elsewhere = next(name for name in ("t2", "t3", "t4") if partition_of(name, settings.partitions) != partition)
    await client.report_users(elsewhere, 1, gateway="g1")
    await until(lambda: watcher.edges[1:] == [elsewhere])
    with pytest.raises(OwnershipLost):
        await users.caught_up(partition)


async def test_a_partition_that_comes_back_is_read_anew(
    watcher: Watcher, client: ConnectClient, partition: int
) -> None:
    users = watcher.users
    users.take(partition)
    await client.report_users("t1", 1, gateway="g1")
    await until(lambda: watcher.edges == ["t1"])
    for _ in range(5):
        users.drop(partition)
        users.take(partition)
        users.take(partition)
    await client.report_users("t1", 7, gateway="g2")
    await until(lambda: users.count("t1") == 8)
    await users.caught_up(partition)
    assert users.tally.unreadable == 0


@pytest.mark.parametrize("change", [Users.drop, Users.take])
async def test_who_waits_for_a_partition_that_is_dropped_or_taken_anew_learns_so(
    watcher: Watcher, partition: int, change: Callable[[Users, int], None]
) -> None:
    watcher.users.take(partition)
    waiting = asyncio.create_task(watcher.users.caught_up(partition))
    await asyncio.sleep(0)
    change(watcher.users, partition)
    with pytest.raises(OwnershipLost, match="not followed any more"):
        await waiting


async def test_without_a_broker_waiting_ends_and_reading_is_tried_again(
    settings: Settings, partition: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.users.view.CATCH_UP_TIMEOUT_S", 0.1)
    monkeypatch.setattr("streams.users.source.REQUEST_TIMEOUT_S", 0.1)
    async with watching(settings.model_copy(update={"kafka": "127.0.0.1:1"})) as watcher:
        watcher.users.take(partition)
        with pytest.raises(KafkaUnreachable, match="not read to its end in time"):
            await watcher.users.caught_up(partition)
        assert not watcher.users.known(partition)


async def test_a_partition_that_does_not_exist_ends_the_reading(settings: Settings) -> None:
    watcher = Watcher(settings)
    watcher.users.start()
    try:
        watcher.users.take(settings.partitions)
        await until(lambda: bool(watcher.failures))
    finally:
        await watcher.users.close()
    assert isinstance(watcher.failures[0], KafkaUnreachable)


async def test_the_blocking_client_reports_too(watcher: Watcher, settings: Settings, partition: int) -> None:
    watcher.users.take(partition)

    def say() -> None:
        with BlockingConnectClient(settings) as client:
            client.report_users("t1", 6, gateway="g1", ttl_ms=KEPT_MS)

    await asyncio.to_thread(say)
    await until(lambda: watcher.users.count("t1") == 6)
    watcher.clock.ahead = HOUR - MINUTE
    assert watcher.users.count("t1") == 6
