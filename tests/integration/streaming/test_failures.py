"""What keeps rows from being streamed: each thing has its code, the tenant stays ready, and it is tried again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import asyncpg
import pytest

from statemachine.errors import Initializing
from streams.devstack.postgres import PostgresServer
from streams.tenantdb.naming import REPLICATION, replication_session_name
from tests.integration.life.region import Region
from tests.integration.life.stage import Stage, Tenant, Told, refused
from tests.integration.streaming.conftest import SENDERS_MAX, SHORT, server_of
from tests.integration.streaming.heard import Heard
from tests.integration.streaming.place import end_walsenders, own_slot, slots, streamed, tenant_of, walsenders
from tests.integration.streaming.writing import write, writing
from tests.integration.web.pages import Pages

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.asyncio(loop_scope="session")]

WINDOW = timedelta(hours=2)
DELAY_MIN = timedelta(milliseconds=SHORT["replication_backoff_min_ms"])
DELAY_MAX = timedelta(milliseconds=SHORT["replication_backoff_max_ms"])

IMPATIENT_MS = 300
"""Milliseconds that a caller waits who is to learn what it waits for."""


@asynccontextmanager
async def replicating(tenant: Tenant, name: str, *, as_itself: bool = False) -> AsyncIterator[int]:
    """Somebody, or the tenant's own role, holds a session of the replication protocol; gives its process id."""
    database, server = tenant.entry["database"], tenant.server
    session = await asyncpg.connect(
        host=server.host,
        port=server.port,
        user=database["user"] if as_itself else server.user,
        password=database["password"] if as_itself else server.password,
        database=database["name"],
        server_settings={"replication": "database", "application_name": name},
    )
    try:
        yield session.get_server_pid()
    finally:
        session.terminate()


def waits(event: Told) -> None:
    """The event says when the next attempt is, and until when it may go on like that."""
    assert DELAY_MIN <= event.data.next_attempt_at - event.time <= DELAY_MAX


async def postponed(stage: Stage, tenant: Tenant) -> Told:
    """The tenant is connected and its stream was put off, twice; gives the first event."""
    status = await stage.client.connect(tenant.name)
    assert (status.lifecycle, status.database) == ("ready", "up")
    first = await tenant.reaches("replication.postponed")
    assert first.data.recovery_until == first.time + WINDOW
    waits(first)
    again = await tenant.reaches("replication.postponed")
    assert (again.data.code, again.data.recovery_until) == (first.data.code, first.data.recovery_until)
    assert again.time >= first.data.next_attempt_at
    waits(again)
    return first


async def is_put_off(stage: Stage, tenant: Tenant, first: Told, pages: Pages) -> None:
    """Status, health and figures say so too."""
    status = await stage.client.status(tenant.name)
    assert (status.lifecycle, status.replication, status.why.code) == ("ready", "waiting", "replication_waiting")
    assert status.deadlines.keys() == {"replication_attempt", "replication_recovery"}
    assert status.deadlines["replication_recovery"] == first.data.recovery_until
    assert status.why.at == status.deadlines["replication_attempt"] > first.data.next_attempt_at
    assert first.data.code in status.why.what
    refusal = await refused(stage.client.connect(tenant.name, wait="streaming", timeout_ms=IMPATIENT_MS))
    assert isinstance(refusal, Initializing)
    assert first.data.code in str(refusal)
    health = await stage.client.check_health(tenant.name)
    assert (health.healthy, health.replication_connected) == (True, False)
    assert (await pages.figures("tenant_connect_windows_open"))["replication_recovery",] >= 1
    assert (await pages.figures("tenant_connect_replication_postponed_total"))[first.data.code,] >= 2


async def starts(stage: Stage, heard: Heard, tenant: Tenant) -> Told:
    """The obstacle is gone: whoever waits for rows is answered, and nothing of the window is left."""
    status = await stage.client.connect(tenant.name, wait="streaming")
    assert (status.replication, status.deadlines) == ("streaming", {})
    await heard.has(tenant.name, await write(tenant))
    return await tenant.reaches("replication.started")


async def test_a_stream_whose_backend_is_ended_is_lost_and_begun_again(stage: Stage, heard: Heard) -> None:
    tenant = await streamed(stage)
    before = await write(tenant, 5)
    await heard.has(tenant.name, before)
    (pid,) = await walsenders(tenant)
    await end_walsenders(tenant)
    meanwhile = await write(tenant, 5)
    (lost,) = await tenant.next("replication.lost")
    assert lost.data.code == "ReplicationConnectionDown"
    assert "57P01" in lost.data.message
    assert lost.data.resume_point is not None
    assert lost.data.recovery_until == lost.time + WINDOW
    waits(lost)
    started = await starts(stage, heard, tenant)
    assert started.time >= lost.data.next_attempt_at
    assert started.claim == lost.claim
    assert heard.ids(tenant.name)[:10] == [*before, *meanwhile]
    (again,) = await walsenders(tenant)
    assert again != pid


async def test_nothing_is_missing_where_the_backend_is_ended_again_and_again(stage: Stage, heard: Heard) -> None:
    tenant = await streamed(stage)
    async with writing(tenant) as writers:
        for _ in range(6):
            await writers.more(20)
            await end_walsenders(tenant)
            await tenant.reaches("replication.lost")
            await tenant.reaches("replication.started")
    await heard.has(tenant.name, writers.committed)
    assert set(heard.ids(tenant.name)) == writers.committed
    assert len(await slots(tenant)) == len(await walsenders(tenant)) == 1


async def test_a_server_without_a_free_wal_sender_puts_a_stream_off(
    stage: Stage, heard: Heard, region: Region, small_server: PostgresServer
) -> None:
    tenant = await tenant_of(stage, server=small_server)
    async with AsyncExitStack() as others:
        for number in range(SENDERS_MAX):
            await others.enter_async_context(replicating(tenant, f"other {number}"))
        first = await postponed(stage, tenant)
        assert first.data.code == "ReplicationMaxWalSendersReached"
        assert first.data.blocked_by is None
        assert "max_wal_senders" in first.data.message
        await is_put_off(stage, tenant, first, region.pages)
    await starts(stage, heard, tenant)


async def test_a_slot_of_ours_that_another_session_holds_is_in_use_and_the_event_names_who(
    stage: Stage, heard: Heard, region: Region
) -> None:
    tenant = await tenant_of(stage)
    other = await tenant.administrator()
    await other.execute("set application_name = 'somebody'")
    await other.execute("select pg_create_logical_replication_slot($1, 'pgoutput', true)", own_slot(tenant))
    first = await postponed(stage, tenant)
    assert first.data.code == "ReplicationSlotInUse"
    assert first.data.blocked_by == f"pid {other.get_server_pid()} (application 'somebody')"
    await is_put_off(stage, tenant, first, region.pages)
    await other.close()
    await starts(stage, heard, tenant)


@pytest.mark.parametrize("name", [REPLICATION, replication_session_name(1_000_000)])
async def test_a_session_that_streams_and_is_not_ours_to_end_is_waited_for(
    stage: Stage, heard: Heard, region: Region, name: str
) -> None:
    tenant = await tenant_of(stage)
    async with replicating(tenant, name) as pid:
        first = await postponed(stage, tenant)
        assert first.data.code == "ReplicationSlotInUse"
        assert first.data.blocked_by == f"pid {pid} (application {name!r})"
        await is_put_off(stage, tenant, first, region.pages)
    await starts(stage, heard, tenant)


async def test_a_session_that_an_attempt_of_ours_left_over_is_ended(stage: Stage, heard: Heard, region: Region) -> None:
    tenant = await tenant_of(stage)
    owner = (await stage.client.status(tenant.name)).owner
    assert owner is not None
    async with replicating(tenant, replication_session_name(owner.claim), as_itself=True) as pid:
        await starts(stage, heard, tenant)
        assert pid not in await walsenders(tenant)
    assert "replication.postponed" not in region.scene.events(tenant.name)


async def test_an_inactive_slot_that_has_our_name_is_dropped(stage: Stage, heard: Heard) -> None:
    tenant = await tenant_of(stage)
    await tenant.in_database(f"select pg_create_logical_replication_slot('{own_slot(tenant)}', 'pgoutput')")
    started = await starts(stage, heard, tenant)
    assert await slots(tenant) == [started.data.slot]


@pytest.fixture(scope="module")
def plain_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server whose WAL says too little for rows to be streamed."""
    yield from server_of(tmp_path_factory.mktemp("plain"), wal_level="replica")


async def test_a_server_that_does_not_log_for_streaming_leaves_its_tenant_ready(
    stage: Stage, region: Region, plain_server: PostgresServer
) -> None:
    tenant = await tenant_of(stage, server=plain_server)
    first = await postponed(stage, tenant)
    assert first.data.code == "StartReplicationFailed"
    assert "wal_level" in first.data.message
    await is_put_off(stage, tenant, first, region.pages)
