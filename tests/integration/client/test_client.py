from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from statemachine.commands import Connect, PauseTenant, Status
from statemachine.errors import Initializing, InvalidCommand, TenantNotFound, TenantPaused
from statemachine.events import Event
from streams.client import Answered, BlockingConnectClient, ConnectClient
from streams.client.client import GRACE_S
from streams.client.exchange import RESEND_INTERVAL_S
from streams.devstack.kafka.server import KafkaServer
from streams.devstack.postgres import PostgresServer
from streams.errors import InputInvalid, KafkaUnreachable, OwnerUnavailable, TopicsDiffer
from streams.history import History
from streams.kafka.clients import consumer_configuration
from streams.kafka.compacted import latest
from streams.log.reader import open_consumer, read, stretches
from streams.settings import Settings
from streams.topics import Topics
from tests.integration.client.conftest import Working, locks, sessions
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]


def commands(settings: Settings) -> list[dict[str, Any]]:
    """Every command that was sent, as it stands on the topic."""
    topic = Topics(settings).commands
    with open_consumer(consumer_configuration(settings, "commands")) as consumer:
        records = list(read(consumer, topic, stretches(consumer, topic)))
    return [json.loads(record.value or b"") for record in records]


SESSIONS_OF_A_TENANT = 2
"""One pooled connection and the session that holds the tenant's lock."""


@pytest.mark.usefixtures("worker")
async def test_a_tenant_is_connected_and_says_so(settings: Settings, tenant: str) -> None:
    async with ConnectClient(settings) as client:
        connected = await client.connect(tenant)
        assert (connected.tenant, connected.lifecycle, connected.database) == (tenant, "ready", "up")
        assert await client.status(tenant) == connected
        found = await client.check_health(tenant)
        assert (found.healthy, found.db_connected, found.replication_connected) == (True, True, False)


@pytest.mark.usefixtures("worker")
async def test_a_hundred_callers_share_one_connection_and_get_one_answer(
    settings: Settings, tenant: str, postgres: PostgresServer, tenant_database: str
) -> None:
    async with ConnectClient(settings) as client:
        answers = await asyncio.gather(*(client.connect(tenant) for _ in range(100)))
    assert answers[0].lifecycle == "ready"
    assert answers == [answers[0]] * 100
    names = await sessions(postgres, tenant_database)
    assert (len(names), len(set(names))) == (SESSIONS_OF_A_TENANT, 1)
    assert await locks(postgres, tenant_database) == 1
    assert [
        entry.event.data.type for entry in History(settings).timeline(tenant) if isinstance(entry.event, Event)
    ] == [
        "connect.requested",
        "connect.checked",
        "connect.provisioned",
    ]


@pytest.mark.usefixtures("worker")
async def test_a_tenant_is_shut_down_and_reloaded(
    settings: Settings, tenant: str, postgres: PostgresServer, tenant_database: str
) -> None:
    async with ConnectClient(settings) as client:
        await client.connect(tenant, requested_by="a test")
        stopped = await client.shutdown(tenant, reason="idle")
        assert (stopped.lifecycle, stopped.reason) == ("absent", "idle")
        assert await sessions(postgres, tenant_database) == []
        reloaded = await client.reload(tenant)
        assert reloaded.lifecycle == "ready"
        assert reloaded.sequence > stopped.sequence


@pytest.mark.usefixtures("worker")
async def test_a_paused_tenant_refuses_until_it_is_resumed(settings: Settings, tenant: str) -> None:
    due = datetime.now(UTC) + timedelta(days=1)
    async with ConnectClient(settings) as client:
        await client.pause(tenant, reason="repairs", author="ada", until=due)
        with pytest.raises(TenantPaused, match="ada: repairs") as raised:
            await client.connect(tenant)
        assert isinstance(raised.value, Answered)
        assert (raised.value.code, raised.value.retry_at) == ("tenant_paused", due)
        await client.resume(tenant, author="ada")
        await client.retry(tenant)
        assert (await client.connect(tenant)).lifecycle == "ready"


@pytest.mark.usefixtures("worker")
async def test_a_tenant_that_nobody_knows_is_not_found(settings: Settings) -> None:
    async with ConnectClient(settings) as client:
        with pytest.raises(TenantNotFound) as raised:
            await client.connect("nobody")
    assert isinstance(raised.value, Answered)
    assert (raised.value.code, raised.value.retry_at) == ("tenant_not_found", None)
    assert raised.value.reply.tenant == "nobody"


@pytest.mark.usefixtures("worker")
async def test_a_reply_is_returned_as_it_is_be_it_an_error(settings: Settings, tenant: str) -> None:
    async with ConnectClient(settings) as client:
        reply = await client.send("nobody", Connect(), timeout_s=15.0, command_id="mine")
        assert (reply.command, reply.outcome) == ("mine", "error")
        assert reply.error is not None
        assert reply.error.code == "tenant_not_found"
        paused = await client.send(tenant, PauseTenant("x"), timeout_s=15.0, command_id="pause-1")
        again = await client.send(tenant, PauseTenant("x"), timeout_s=15.0, command_id="pause-1")
    assert paused.event is not None
    assert (again.outcome, again.status, again.event) == ("ok", paused.status, None)


@pytest.mark.usefixtures("worker")
async def test_a_connect_whose_time_is_up_is_told_that_it_goes_on(settings: Settings, tenant: str) -> None:
    async with ConnectClient(settings) as client:
        with pytest.raises(Initializing):
            await client.connect(tenant, timeout_ms=0)
        assert (await client.connect(tenant)).lifecycle == "ready"


async def test_without_a_worker_the_owner_is_unavailable(settings: Settings) -> None:
    async with ConnectClient(settings) as client:
        with pytest.raises(OwnerUnavailable, match="no worker answered command"):
            await client.status("t1", timeout_ms=0)


async def test_a_command_is_sent_again_under_its_id_until_somebody_answers(
    settings: Settings, tenant: str, working: Working
) -> None:
    async with ConnectClient(settings) as client:
        asked = asyncio.create_task(client.connect(tenant, timeout_ms=60_000))

        async def was_sent_again() -> bool:
            return len(await asyncio.to_thread(commands, settings)) > 1

        await until(was_sent_again)
        assert not asked.done()
        first, second, *_ = commands(settings)
        assert first["id"] == second["id"]
        # What is left of the caller's time is less by then, so that its end stays where it was.
        assert 60_000 == first["data"]["timeout_ms"] > second["data"]["timeout_ms"]
        async with working():
            assert (await asked).lifecycle == "ready"
    assert [entry.tenant for entry in History(settings).timeline(tenant)] == [tenant] * 3


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"wait": "maybe"}, r"data\.wait: 'maybe'"), ({"timeout_ms": 600_001}, r"data\.timeout_ms")],
)
async def test_a_command_that_breaks_the_contract_is_not_sent(
    settings: Settings, arguments: dict[str, str], named: str
) -> None:
    async with ConnectClient(settings) as client:
        with pytest.raises(InvalidCommand, match=named):
            await client.connect("t1", **arguments)  # type: ignore[arg-type]  # it is wrong on purpose
        with pytest.raises(InvalidCommand, match="key"):
            await client.status("")
        with pytest.raises(InvalidCommand, match=r"data\.until"):
            await client.pause("t1", until=datetime(2030, 1, 1))  # noqa: DTZ001  it lacks its zone on purpose


async def test_an_id_that_is_underway_is_not_used_twice(settings: Settings) -> None:
    async with ConnectClient(settings) as client:
        first = asyncio.create_task(client.send("t1", Status(), timeout_s=RESEND_INTERVAL_S, command_id="mine"))
        await asyncio.sleep(0)
        with pytest.raises(InvalidCommand, match="on its way"):
            await client.send("t1", Status(), timeout_s=RESEND_INTERVAL_S, command_id="mine")
        with pytest.raises(OwnerUnavailable):
            await first


async def test_who_still_waits_when_the_client_is_closed_learns_it(settings: Settings) -> None:
    async with ConnectClient(settings) as client:
        asked = asyncio.create_task(client.status("t1"))
        await asyncio.sleep(0)
    with pytest.raises(OwnerUnavailable, match="closed"):
        await asked


async def test_a_client_without_kafka_or_topics_says_so(kafka: KafkaServer) -> None:
    with pytest.raises(KafkaUnreachable):
        await ConnectClient(Settings(kafka="127.0.0.1:1")).__aenter__()
    with pytest.raises(TopicsDiffer, match=r"nobody-made-this\.replies"):
        await ConnectClient(Settings(kafka=kafka.bootstrap, topic_prefix="nobody-made-this")).__aenter__()


@pytest.mark.usefixtures("worker")
async def test_watching_shows_the_events_in_their_order_as_they_happen(settings: Settings, tenant: str) -> None:
    async with ConnectClient(settings) as client:
        watch = client.watch(tenant, start="start")
        await client.connect(tenant)
        seen = [await anext(watch) for _ in range(3)]
        later = asyncio.ensure_future(anext(watch))
        await client.shutdown(tenant)
        seen += [await later, await anext(watch)]
        await watch.aclose()
    events = [entry.event for entry in seen if isinstance(entry.event, Event)]
    assert [event.data.type for event in events] == [
        "connect.requested",
        "connect.checked",
        "connect.provisioned",
        "connect.stopping",
        "connect.stopped",
    ]
    assert [event.sequence for event in events] == [1, 2, 3, 4, 5]
    assert all(before.hash == after.previous_hash for before, after in pairwise(events))


@pytest.mark.usefixtures("worker")
async def test_watching_from_now_shows_nothing_that_was_before(settings: Settings, tenant: str) -> None:
    async with ConnectClient(settings) as client:
        before = await client.connect(tenant)
        watch = client.watch(start="now")
        first = asyncio.ensure_future(anext(watch))

        async def happened() -> bool:
            await client.pause(tenant)
            return first.done()

        await until(happened)
        entry = first.result()
        await watch.aclose()
    assert isinstance(entry.event, Event)
    assert entry.event.sequence > before.sequence


async def test_a_watch_ends_with_its_client(settings: Settings) -> None:
    async with ConnectClient(settings) as client:
        watch = client.watch(start="now")
        waiting = asyncio.ensure_future(anext(watch, None))
        await asyncio.sleep(0)
    async with asyncio.timeout(GRACE_S):
        assert await waiting is None


async def test_reports_of_users_stand_on_their_topic(settings: Settings) -> None:
    async with ConnectClient(settings) as client:
        await client.report_users("t1", 12, gateway="g1")
        await client.report_users("t2", 0, gateway="g1", ttl_ms=5000)
        with pytest.raises(InputInvalid, match="users"):
            await client.report_users("t1", -1, gateway="g1")
        with pytest.raises(InputInvalid, match="tenant id"):
            await client.report_users("", 1, gateway="g1")
    found = latest(settings, Topics(settings).users)
    assert {key: json.loads(value) for key, value in found.items()} == {
        b"t1": {"gateway": "g1", "users": 12, "ttl_ms": 60000},
        b"t2": {"gateway": "g1", "users": 0, "ttl_ms": 5000},
    }


@pytest.mark.usefixtures("worker")
async def test_a_program_without_a_loop_has_the_same_client(settings: Settings, tenant: str) -> None:
    def program() -> list[str]:
        with BlockingConnectClient(settings) as client:
            seen = [client.connect(tenant).lifecycle, client.status(tenant).lifecycle]
            with pytest.raises(TenantNotFound):
                client.connect("nobody")
            watch = client.watch(tenant, start="start")
            events = [next(watch).event for _ in range(3)]
            watch.close()
            client.report_users(tenant, 1, gateway="g1")
            return [*seen, *(event.data.type for event in events if isinstance(event, Event))]

    expected = ["ready", "ready", "connect.requested", "connect.checked", "connect.provisioned"]
    assert await asyncio.to_thread(program) == expected
