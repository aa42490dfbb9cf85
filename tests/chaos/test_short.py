"""A short round on a real broker and a real server: all is right; and with the fence switched off it is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.chaos.checker import check
from tests.chaos.evidence import Finding
from tests.chaos.fold import Log
from tests.chaos.lateness import taken_over
from tests.chaos.nemeses import DECIDING_S, FROZEN_PAST_TIMEOUT, session_timeout_s
from tests.chaos.place import PARTITIONS, Place, place
from tests.chaos.play import Played, Script, play
from tests.chaos.stage import Stage
from tests.chaos.tenants import Numbers

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.asyncio(loop_scope="module")]

SEED = 7
PATIENCE_S = 40.0
"""How long everything may take to work again; on a machine that does much else besides."""

UNFENCED_PATIENCE_S = 4.0
"""The same where it is of no use to wait: workers without a fence write logs that none can read."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def somewhere(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    async with place(tmp_path_factory.mktemp("chaos"), proxied=False) as where:
        yield where


async def frozen(stage: Stage) -> None:
    """A worker stands still past its session timeout in the middle of its work."""
    worker = await stage.owner()
    with stage.fault("worker frozen", worker, workers=True):
        await worker.freeze_deciding(DECIDING_S)
        await asyncio.sleep(FROZEN_PAST_TIMEOUT * session_timeout_s(stage))
        worker.thaw()
    await stage.serving()


async def everything(stage: Stage) -> None:
    """A frozen owner, a killed one, ended sessions, and a broker that crashes."""
    await frozen(stage)
    worker = await stage.owner()
    with stage.fault("worker killed", worker, workers=True):
        worker.kill()
        worker.start("--die-at", "produced:5")
        await stage.serving()
    with stage.fault("sessions ended", database=True):
        session = await stage.place.server.superuser_connection()
        await session.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'realtime%'"
        )
        await session.close()
    with stage.fault("broker killed"):
        await stage.place.brokers.kill()
        await stage.place.brokers.start()
    await stage.serving()


async def test_nothing_is_lost_and_nobody_lies_whatever_is_killed_or_frozen(somewhere: Place) -> None:
    played = await play(somewhere, Script("short", everything, SEED, Numbers(40, 2, 2), 60.0, patience_s=PATIENCE_S))

    assert played.problem is None
    assert check(played.evidence, PARTITIONS) == []
    assert len(played.outages) == 4
    assert sum(map(len, played.evidence.committed.values())) > 100
    assert taken_over(Log(played.evidence.events)) > 0, "no deadline was taken over: whether they survive was not tried"
    assert void_records(played) > 0, "nobody was deposed: the fence was not tried"


async def test_workers_without_a_fence_are_found_out(somewhere: Place) -> None:
    script = Script(
        "unfenced", frozen, SEED, Numbers(40, 0, 0), 150.0, words=("--unfenced",), patience_s=UNFENCED_PATIENCE_S
    )
    played = await play(somewhere, script)

    assert rules(check(played.evidence, PARTITIONS)) & {"void", "deposed", "stale", "twice", "sequence", "readers"}


def rules(findings: list[Finding]) -> set[str]:
    return {finding.rule for finding in findings}


def void_records(played: Played) -> int:
    """Records that do not count: what a frozen owner wrote when it woke."""
    return len(played.evidence.events) - len(played.evidence.watched or ())
