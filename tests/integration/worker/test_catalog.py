"""What the catalog says of a tenant, while it is connected."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from statemachine.errors import TenantNotFound, TenantSuspended
from statemachine.events import Event
from streams.catalog.store import Catalog
from streams.client import ConnectClient
from tests.integration.worker.scene import Scene, TenantDatabase
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]


def _suspend(catalog: Catalog) -> None:
    catalog.suspend("t1")


def _remove(catalog: Catalog) -> None:
    catalog.remove("t1")


@pytest.mark.parametrize(
    ("change", "reason", "refusal"),
    [(_suspend, "suspended", TenantSuspended), (_remove, "removed", TenantNotFound)],
)
async def test_a_ready_tenant_that_is_not_wanted_any_more_gives_its_connection_up(
    scene: Scene,
    database: TenantDatabase,
    change: Callable[[Catalog], None],
    reason: str,
    refusal: type[Exception],
) -> None:
    async with scene.working() as worker, ConnectClient(scene.settings) as client:
        await client.connect("t1")
        assert worker._effects.tenants == 1
        await asyncio.to_thread(change, Catalog(scene.settings))
        await until(lambda: scene.events("t1")[-2:] == ["connect.stopping", "connect.stopped"])
        assert await database.sessions() == set()
        assert (await client.status("t1")).reason == reason
        await until(lambda: worker._effects.tenants == 0)
        before = scene.timeline("t1")
        for _ in range(2):
            with pytest.raises(refusal):
                await client.connect("t1")
            with pytest.raises(refusal):
                await client.reload("t1")
    assert scene.timeline("t1") == before
    scene.audit()


async def test_a_tenant_that_nobody_knows_is_not_found_and_leaves_nothing_on_the_log(scene: Scene) -> None:
    async with scene.working(), ConnectClient(scene.settings) as client:
        with pytest.raises(TenantNotFound):
            await client.check_health("nobody")
        with pytest.raises(TenantNotFound):
            await client.reload("nobody")
    assert scene.events("nobody") == []
    assert "nobody" not in {entry.event.tenant for entry in scene.entries() if isinstance(entry.event, Event)}


async def test_who_is_put_into_the_catalog_is_never_refused_for_what_was_before(
    scene: Scene, database: TenantDatabase
) -> None:
    catalog = Catalog(scene.settings)
    async with scene.working(), ConnectClient(scene.settings) as client:
        for _ in range(5):
            await asyncio.to_thread(catalog.suspend, "t1")
            with pytest.raises(TenantSuspended):
                await client.connect("t1")
            await asyncio.to_thread(catalog.resume, "t1")
            assert (await client.connect("t1")).lifecycle == "ready"
            await client.shutdown("t1")
    assert await database.sessions() == set()
