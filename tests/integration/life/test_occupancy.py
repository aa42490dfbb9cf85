"""Users: who is there keeps a tenant connected; who was there last is missed only after a while."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import pytest

from streams.topics import Topics
from tests.integration.life.conftest import SHORT
from tests.integration.life.region import Region
from tests.integration.life.stage import READY, Stage, ended
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.asyncio(loop_scope="session")]

WINDOW: Final = timedelta(milliseconds=SHORT["idle_window_ms"])
GRACE: Final = timedelta(milliseconds=SHORT["idle_grace_ms"])
TTL: Final = timedelta(milliseconds=700)
STOPPED: Final = ("connect.stopping", "connect.stopped")


def _now() -> datetime:
    """Now, as the records of a topic tell it: in whole milliseconds."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


async def test_a_tenant_that_nobody_ever_used_is_stopped_after_window_and_grace(hasty: Stage) -> None:
    tenant = await hasty.tenant()
    await hasty.client.connect(tenant.name)
    *_, ready, idle = await tenant.next(*READY, "occupancy.idle")
    due = idle.data.shutdown_at
    assert due == ready.time + WINDOW + GRACE
    status = await hasty.client.status(tenant.name)
    assert (status.occupancy, status.why.code, status.why.at) == ("idle", "idle", due)
    stopping, stopped = await tenant.next(*STOPPED)
    assert (await tenant.sessions(), await tenant.locks()) == ({}, 0)
    assert stopping.time >= due
    assert ended(stopping) == ended(stopped) == ("idle", None)


async def test_a_user_who_comes_back_before_the_shutdown_is_due_is_in_time(hasty: Stage) -> None:
    tenant = await hasty.tenant()
    await hasty.client.connect(tenant.name)
    *_, idle = await tenant.next(*READY, "occupancy.idle")
    await tenant.is_used()
    (used,) = await tenant.next("occupancy.used")
    due = idle.data.shutdown_at
    assert used.time < due
    await until(lambda: _now() > due)
    status = await hasty.client.status(tenant.name)
    assert (status.lifecycle, status.occupancy, status.users) == ("ready", "used", 1)
    left = _now()
    await tenant.is_used(0)
    (again,) = await tenant.next("occupancy.idle")
    assert again.data.shutdown_at >= left + WINDOW + GRACE


async def test_users_of_a_gateway_that_died_count_until_its_report_is_too_old(hasty: Stage) -> None:
    tenant = await hasty.tenant()
    reported = _now()
    await tenant.is_used(2, gateway="dies", ttl_ms=TTL // timedelta(milliseconds=1))
    await hasty.client.connect(tenant.name)
    *_, used, idle = await tenant.next(*READY, "occupancy.used", "occupancy.idle")
    assert used.data.users == 2
    assert idle.time >= reported + TTL + WINDOW
    assert idle.data.shutdown_at >= reported + TTL + WINDOW + GRACE


async def test_the_users_of_all_gateways_count_together_and_only_edges_are_events(hasty: Stage) -> None:
    tenant = await hasty.tenant()
    await tenant.is_used(2, gateway="g1")
    await hasty.client.connect(tenant.name)
    await tenant.next(*READY, "occupancy.used")
    for gateway, users, together in (("g2", 3, 5), ("g1", 0, 3), ("g3", 1, 4), ("g2", 0, 1)):
        await tenant.is_used(users, gateway=gateway)
        await until(partial(_has, hasty, tenant.name, together))
    await tenant.is_used(0, gateway="g3")
    await tenant.next("occupancy.idle")


async def test_a_tenant_with_users_and_without_a_connection_is_connected_unless_it_is_paused(hasty: Stage) -> None:
    tenant = await hasty.tenant()
    await tenant.is_used()
    (first,) = await tenant.next("connect.requested")
    assert (first.data.requested_by, first.causation) == ("reconnector", "effect:reconnector")
    await tenant.next("connect.checked", "connect.provisioned", "occupancy.used")
    await hasty.client.shutdown(tenant.name)
    await tenant.next(*STOPPED, *READY, "occupancy.used")
    await hasty.client.pause(tenant.name)
    await tenant.next("connect.paused", "connect.stopped")
    await hasty.client.resume(tenant.name)
    await tenant.next("connect.resumed", "connect.requested")


async def test_a_report_that_cannot_be_read_is_parked_and_those_behind_it_count(
    hasty: Stage, hasty_region: Region
) -> None:
    tenant = await hasty.tenant()
    await hasty.client.connect(tenant.name)
    topic = Topics(hasty.settings).users
    unreadable = [b"{", b'{"gateway": "g1", "users": -1}', b'{"gateway": "g1", "users": 1, "colour": "red"}', None]
    hasty_region.scene.produce(topic, [(tenant.name.encode(), value) for value in unreadable])
    await tenant.is_used(4)
    used = await tenant.reaches("occupancy.used")
    assert used.data.users == 4

    def parked() -> list[bytes | None]:
        letters = hasty_region.scene.records(hasty_region.scene.topics.dead_letters)
        ours = [letter for letter in letters if letter.key == tenant.name.encode()]
        assert {dict(letter.headers)["topic"] for letter in ours} <= {topic.encode()}
        return [letter.value for letter in ours]

    await until(lambda: parked() == unreadable)


async def _has(stage: Stage, tenant: str, users: int) -> bool:
    return (await stage.client.status(tenant)).users == users
