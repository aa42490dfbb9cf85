"""Two regions on one Kafka: a tenant that moves is given up by the one and connected by the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Final, NamedTuple

import pytest
import pytest_asyncio

from statemachine.commands import Status
from streams.devstack.kafka.server import KafkaServer
from streams.devstack.postgres import PostgresServer
from streams.kafka.administration import apply
from streams.kafka.clients import producer
from streams.settings import Settings
from streams.wire.command import ReplyTo, Request, encode_command
from tests.integration.life.stage import READY, Stage, Tenant, ended, refused, staged
from tests.integration.worker.scene import Scene
from tests.support.region import fresh_region, working
from tests.support.waiting import DEADLINE_S, until

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.asyncio(loop_scope="session")]

MOVES: Final = 40
"""How often a tenant moves, to meet the moment at which one region knows of it and the other does not."""

REGIONS: Final = {"lisbon": "west", "porto": "west", "riga": "east"}


class Regions(NamedTuple):
    """Two regions that are served."""

    west: Settings
    east: Settings


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def regions(kafka: KafkaServer) -> AsyncIterator[Regions]:
    times = {"session_timeout_ms": 6_000, "reconnect_interval_ms": 300}
    west = fresh_region(kafka, "regions", region="west", regions=REGIONS, worker_name="w1", **times)
    east = west.model_copy(update={"region": "east", "worker_name": "e1"})
    apply(east)
    yield Regions(west, east)
    for settings in (west, east):
        Scene(settings).audit()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def western(regions: Regions, server: PostgresServer) -> AsyncIterator[Stage]:
    async with working(regions.west), staged(regions.west, server) as stage:
        yield stage


@pytest_asyncio.fixture(loop_scope="session")
async def west(western: Stage) -> AsyncIterator[Stage]:
    yield western
    await western.clear()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def east(regions: Regions, server: PostgresServer) -> AsyncIterator[Stage]:
    async with working(regions.east), staged(regions.east, server) as stage:
        yield stage


async def test_a_tenant_that_moves_is_given_up_and_connected_by_the_other_region_when_it_is_wanted(
    west: Stage, east: Stage
) -> None:
    tenant = await west.connected(region="lisbon")
    await tenant.put(region="porto")
    await tenant.put(region="riga")
    stopping, stopped = await tenant.next("connect.stopping", "connect.stopped")
    assert (await tenant.sessions(), await tenant.locks()) == ({}, 0)
    assert ended(stopping)[0] == ended(stopped)[0] == "rebalancing"
    status = await west.client.connect(tenant.name)
    assert (status.region, status.lifecycle, status.owner and status.owner.worker) == ("east", "ready", "e1")
    (requested, *_) = await Tenant(east, tenant.server, tenant.entry).next(*READY)
    assert (requested.data.platform_region, requested.data.serving_region) == ("riga", "east")
    assert len(await tenant.sessions()) == 2


async def test_a_tenant_that_moves_with_its_users_is_connected_without_being_asked_for(
    west: Stage, east: Stage
) -> None:
    tenant = await west.used(region="lisbon")
    await tenant.put(region="riga")
    await tenant.next("connect.stopping", "connect.stopped")
    requested, *_ = await Tenant(east, tenant.server, tenant.entry).next(*READY, "occupancy.used")
    assert requested.data.requested_by == "reconnector"
    assert len(await tenant.sessions()) == 2


@pytest.mark.usefixtures("east")
async def test_a_command_that_is_written_right_after_a_move_is_answered_though_nobody_sends_it_again(
    west: Stage,
) -> None:
    tenant = await west.tenant(region="lisbon")
    scene, writer = Scene(west.settings), producer(west.settings)
    for number in range(MOVES):
        await tenant.put(region=("riga", "lisbon")[number % 2])
        name = f"after move {number} of {tenant.name}"
        body = encode_command(Request(name, tenant.name, Status(), ReplyTo(scene.topics.replies, 0)))
        writer.produce(scene.topics.commands, body, tenant.name)
        assert await asyncio.to_thread(writer.flush, DEADLINE_S) == 0
        await until(partial(_answered, scene, name))
    assert {reply.outcome for reply in scene.replies()[name]} == {"ok"}


def _answered(scene: Scene, command: str) -> bool:
    return command in scene.replies()


async def test_a_tenant_of_a_region_that_nobody_serves_is_refused_with_a_code_of_its_own(west: Stage) -> None:
    tenant = await west.tenant(region="lisbon")
    await tenant.put(region="atlantis")
    assert (await refused(west.client.connect(tenant.name))).code == "region_unknown"
    await tenant.put(region="lisbon")
    await west.client.connect(tenant.name)
    await tenant.next(*READY)


async def test_a_tenant_whose_region_is_served_from_elsewhere_since_a_restart_is_given_up(
    kafka: KafkaServer, server: PostgresServer
) -> None:
    settings = fresh_region(kafka, "remapped", region="west", regions=REGIONS, session_timeout_ms=6_000)
    async with staged(settings, server) as stage:
        async with working(settings):
            tenant = await stage.connected(region="lisbon")
        async with working(settings.model_copy(update={"regions": REGIONS | {"lisbon": "east"}})):
            stopping, _ = await tenant.next("connect.stopping", "connect.stopped")
            assert (await tenant.sessions(), await tenant.locks()) == ({}, 0)
            assert ended(stopping) == ("rebalancing", None)
            await tenant.put(region="porto")
            await stage.clear()
    Scene(settings).audit()
