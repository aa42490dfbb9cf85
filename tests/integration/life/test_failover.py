"""An owner that is killed in the middle of everything: the next one knows each deadline, and what changed meanwhile."""

from __future__ import annotations

import pytest

from statemachine.errors import ConnectRateLimitReached
from tests.integration.life.killed import Killed
from tests.integration.life.stage import READY, refused

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.asyncio(loop_scope="session")]


async def test_the_next_owner_knows_every_deadline_as_it_was(killed: Killed) -> None:
    client, retry_at = killed.stage.client, killed.limit.data.retry_at
    assert (await client.status(killed.limited.name)).deadlines == {"connect_limit": retry_at}
    recovering = await client.status(killed.recovering.name)
    until = {"database_recovery": killed.lost.data.recovery_until}
    assert (recovering.lifecycle, recovering.database, recovering.deadlines) == ("ready", "recovering", until)
    assert (await client.status(killed.idle.name)).deadlines == {"idle_shutdown": killed.due}
    refusal = await refused(client.connect(killed.limited.name))
    assert isinstance(refusal, ConnectRateLimitReached)
    assert refusal.retry_at == retry_at


async def test_a_tenant_whose_database_became_another_one_meanwhile_is_connected_anew(killed: Killed) -> None:
    stopping, *_ = await killed.moved.next("connect.stopping", "connect.stopped", *READY)
    assert stopping.data.message == "the settings changed"
    assert len(await killed.moved.sessions()) == 2
    assert await killed.moved.in_database("select from realtime.messages") == []


async def test_a_tenant_whose_rows_are_to_be_streamed_otherwise_meanwhile_is_connected_anew(killed: Killed) -> None:
    await killed.streamed.next("connect.stopping", "connect.stopped", *READY)
    await killed.streamed.reaches("replication.started")


async def test_a_tenant_whose_password_became_another_one_meanwhile_stays_ready(killed: Killed) -> None:
    status = await killed.stage.client.status(killed.rotated.name)
    assert (status.lifecycle, status.database) == ("ready", "up")


async def test_callers_who_waited_are_answered_by_the_next_owner(killed: Killed) -> None:
    await killed.runner.close()
    assert (await killed.caller).lifecycle == "ready"
    await killed.awaited.next("connect.provisioned")


async def test_what_an_owner_left_behind_that_vanished_is_gone_when_the_log_says_that_it_has_stopped(
    killed: Killed,
) -> None:
    await killed.vanished.next("connect.stopped")
    assert (await killed.vanished.sessions(), await killed.vanished.locks()) == ({}, 0)
    assert (await killed.stopping).reason == "requested"
