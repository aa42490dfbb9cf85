"""Tenants that are paused until a moment, again and again, whom nobody else touches: a deadline alone wakes them."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta
from typing import Final

from statemachine.commands import PauseTenant, Status
from tests.chaos.keeping import SETTLED_S
from tests.chaos.lateness import OVERDUE_S
from tests.chaos.stage import LOOK_INTERVAL_S, Stage

SLEEP_S: Final = (2.0, 12.0)
"""How long such a pause lasts, the least and the most: past a session timeout, a freeze, and what follows."""

AWAKE_S: Final = (0.0, 4.0)
"""How long a tenant is left awake between two pauses."""

LOOK_S: Final = 1.0
"""How often it is looked at whether one has woken, by a question that changes nothing."""

WAKE_S: Final = SLEEP_S[1] + SETTLED_S + 2 * OVERDUE_S
"""How long those that still sleep in the end are waited for; whoever sleeps on is found by the judgement."""


async def put_to_sleep(stage: Stage) -> None:
    """Pause all sleepers, each again once it has woken, for as long as the load goes on."""
    chance = random.Random(stage.chance.random())
    await asyncio.gather(*(_sleeps(stage, tenant, chance) for tenant in stage.cast.sleepers))


async def woken(stage: Stage) -> None:
    """Return when all sleepers have woken, or should have long ago."""
    deadline = time.monotonic() + WAKE_S
    await asyncio.gather(*(_wakes(stage, tenant, deadline) for tenant in stage.cast.sleepers))


async def _sleeps(stage: Stage, tenant: str, chance: random.Random) -> None:
    stage.evidence.sleepers.add(tenant)
    while stage.load.going:
        await _passes(stage, chance.uniform(*AWAKE_S))
        lasts_s = chance.uniform(*SLEEP_S)
        until = datetime.now(UTC) + timedelta(seconds=lasts_s)
        await stage.load.ask(tenant, PauseTenant("chaos", "it sleeps", until))
        await _passes(stage, (until - datetime.now(UTC)).total_seconds())
        while await _is_asleep(stage, tenant) and stage.load.going:
            await _passes(stage, LOOK_S)


async def _passes(stage: Stage, seconds: float) -> None:
    """Some time passes, or the load ends."""
    end = time.monotonic() + seconds
    while stage.load.going and time.monotonic() < end:  # noqa: ASYNC110  the load's end is told to nobody
        await asyncio.sleep(LOOK_INTERVAL_S)


async def _wakes(stage: Stage, tenant: str, deadline: float) -> None:
    while await _is_asleep(stage, tenant) and time.monotonic() < deadline:  # noqa: ASYNC110  it asks
        await asyncio.sleep(LOOK_S)


async def _is_asleep(stage: Stage, tenant: str) -> bool:
    """Whether its owner says so, or does not answer."""
    call = await stage.load.ask(tenant, Status())
    return call.reply is None or "pause" in (call.reply["status"] or {}).get("deadlines", {})
