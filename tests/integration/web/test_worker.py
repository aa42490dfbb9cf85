"""A whole worker, asked over HTTP while it joins, works, loses its broker, and stops."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from statemachine.commands import Status
from streams.client import ConnectClient
from streams.devstack.kafka.server import BACK_SOON, KafkaServer
from streams.devstack.process import free_port
from streams.errors import AddressUnavailable
from streams.service.worker import Worker
from streams.settings import Settings
from tests.integration.web.pages import Pages
from tests.support.region import fresh_region, working
from tests.support.waiting import DEADLINE_S, until

pytestmark = [pytest.mark.kafka]


@pytest.fixture
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A broker of this test's own, which it may stop."""
    server = KafkaServer(tmp_path_factory.mktemp("broker"), settings=BACK_SOON)
    server.start()
    yield server
    server.stop()


async def test_a_worker_that_serves_its_partitions_is_ready_and_says_how_far_each_is(settings: Settings) -> None:
    pages = Pages(settings)
    async with working(settings) as worker:
        page = await pages.get("/health/ready")
        assert page is not None
        assert (page.status, page.body["ready"]) == (200, True)
        assert [each["partition"] for each in page.body["partitions"]] == list(worker.partitions)
        assert all(each["served"] and each["position"] >= 0 for each in page.body["partitions"])
    assert await pages.status("/health/live") is None


async def test_a_worker_lives_from_the_start_and_is_ready_later(settings: Settings) -> None:
    stop, pages = asyncio.Event(), Pages(settings)
    running = asyncio.create_task(Worker(settings).run(stop))
    seen: list[tuple[int | None, int | None]] = []

    async def is_ready() -> bool:
        if await pages.status("/health/live") is not None:
            seen.append((await pages.status("/health/live"), await pages.status("/health/ready")))
        return running.done() or (200, 200) in seen

    try:
        await until(is_ready)
    finally:
        stop.set()
        await asyncio.wait_for(running, DEADLINE_S)
    assert set(seen) == {(200, 503), (200, 200)}


async def test_what_happens_to_tenants_is_counted(settings: Settings) -> None:
    pages = Pages(settings)
    async with working(settings), ConnectClient(settings) as client:
        for tenant in ("t1", "t2", "t3"):
            await client.pause(tenant)
        await client.resume("t1")
        assert await pages.figures("tenant_connect_events_total") == {("connect.paused",): 3, ("connect.resumed",): 1}
        assert await pages.figures("tenant_connect_tenants_paused") == {(): 2}
        assert await pages.figures("tenant_connect_tenants_lifecycle") == {("absent",): 3}
        assert await pages.figures("tenant_connect_partitions") == {("served",): settings.partitions}


async def test_what_the_log_tells_a_later_worker_is_not_counted_again(settings: Settings) -> None:
    pages = Pages(settings)
    async with working(settings), ConnectClient(settings) as client:
        await client.pause("t1")
    async with working(settings):
        assert await pages.figures("tenant_connect_tenants_paused") == {(): 1}
        assert await pages.figures("tenant_connect_events_total") == {}


@pytest.mark.postgres
async def test_a_connect_is_timed_with_its_migrations(settings: Settings, tenant: str) -> None:
    pages = Pages(settings)
    async with working(settings), ConnectClient(settings) as client:
        await client.connect(tenant, timeout_ms=40_000)
        assert await pages.figures("tenant_connect_connects_total") == {("ready",): 1}
        assert await pages.figures("tenant_connect_connect_ready_seconds_count") == {(): 1}
        assert await pages.figures("realtime_tenants_migrations_duration_milliseconds_count") == {("local",): 1}
        assert await pages.figures("realtime_tenants_connected") == {(): 1}
        await client.shutdown(tenant)
        assert await pages.figures("tenant_connect_stops_total") == {("requested",): 1}
        assert await pages.figures("realtime_tenants_connected") == {}


async def test_a_worker_lives_while_its_broker_is_away(broker: KafkaServer) -> None:
    settings = fresh_region(broker, "away", http_port=free_port())
    pages = Pages(settings)
    async with working(settings):
        await asyncio.to_thread(broker.stop)
        for path in ("/health/live", "/metrics"):
            assert await pages.status(path) == 200
        await asyncio.to_thread(broker.start)
        await until(lambda: _is(pages, "/health/ready", 200))
        async with ConnectClient(settings) as client:
            assert (await client.send("t1", Status(), timeout_s=DEADLINE_S)).tenant == "t1"


async def test_a_worker_whose_port_is_taken_ends_before_it_does_anything(settings: Settings) -> None:
    async with working(settings) as worker:
        with pytest.raises(AddressUnavailable, match=str(settings.http_port)):
            await Worker(settings.model_copy(update={"worker_name": "second"})).run(asyncio.Event())
        assert len(worker.partitions) == settings.partitions


async def _is(pages: Pages, path: str, status: int) -> bool:
    return await pages.status(path) == status
