"""What the catalog says of a tenant, while it is connected."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from statemachine.errors import TenantNotFound, TenantSuspended
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
        with pytest.raises(refusal):
            await client.connect("t1")
    scene.audit()


async def test_the_health_of_a_tenant_that_nobody_knows_is_that_it_is_not_found(scene: Scene) -> None:
    async with scene.working(), ConnectClient(scene.settings) as client:
        with pytest.raises(TenantNotFound):
            await client.check_health("nobody")
    assert scene.events("nobody") == []
