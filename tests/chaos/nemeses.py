"""What goes wrong in a round, by name. Each leaves everything mended when it ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from tests.chaos import databases, disks, networks
from tests.chaos.stage import Nemesis, Stage
from tests.chaos.worker import POINTS
from tests.chaos.workers import Worker

FROZEN_PAST_TIMEOUT: Final = 2.0
"""How long a worker stands still, in session timeouts."""

DECIDING_S: Final = 5.0
"""How long a worker may take to decide something, under load."""

STALL_S: Final = 20.0
"""How long a broker stands still: four times as long as databases wait for a sign of life."""

STORM_INTERVAL_S: Final = 2.0
GUESTS: Final = 5
ROOM: Final = 12
"""Connections that are left on a server where every tenant wants several."""

JUMPS_S: Final = (3600.0, -3600.0, 86_400.0, 0.0)
"""How far clocks go wrong, in seconds, one after the other."""


def session_timeout_s(stage: Stage) -> float:
    """How long the group waits for a worker."""
    return stage.settings.session_timeout_ms / 1000


async def frozen_owner(stage: Stage) -> None:
    """F1: a worker stands still past its session timeout in the middle of its work, and goes on."""
    for deciding in (True, False):
        worker = await stage.owner()
        with stage.fault("worker frozen past its session timeout", worker, workers=True):
            if deciding:
                await worker.freeze_deciding(DECIDING_S)
            worker.freeze()
            await asyncio.sleep(FROZEN_PAST_TIMEOUT * session_timeout_s(stage))
            worker.thaw()
        await stage.serving()
        await stage.pause(1, 2)


async def killed(stage: Stage) -> None:
    """F2: workers are killed at certain points of their work, and at any."""
    for point in POINTS:
        worker = await stage.owner()
        count = stage.chance.randint(2, 12) if point in {"decided", "produced", "acknowledged", "replied"} else 1
        with stage.fault(f"worker killed: {point}", worker, workers=True):
            worker.kill()
            ended = worker.ended.total()
            worker.start("--die-at", f"{point}:{count}")
            await worker.died(ended, stage.patience_s)
            await stage.serving()
        await stage.pause(0.5, 2)
    for _ in range(2):
        worker = await stage.owner()
        with stage.fault("worker killed", worker, workers=True):
            worker.kill()
            worker.start()
            await stage.serving()
        await stage.pause(0.5, 2)


async def broker_lost(stage: Stage) -> None:
    """F3: the only broker is killed and restarted, several times, and has no room on its disk."""
    for _ in range(2):
        with stage.fault("broker killed"):
            await stage.place.brokers.kill()
            await stage.pause(0.5, 3)
            await stage.place.brokers.start()
        await stage.serving()
        await stage.pause(1, 3)
    with stage.fault("broker restarted"):
        await asyncio.to_thread(stage.place.brokers.servers[0].restart)
    await stage.serving()
    await disks.full_broker(stage)


async def leaders_lost(stage: Stage) -> None:
    """F3: of three brokers, of which two must acknowledge, one after the other is killed, and leaders move."""
    brokers = stage.place.brokers
    order = list(range(len(brokers.servers)))
    stage.chance.shuffle(order)
    for number in order:
        with stage.fault("one broker of three killed"):
            await brokers.kill(number)
            await stage.pause(4, 6)
            await brokers.start()
        await stage.serving()
        await stage.pause(2, 4)
    with stage.fault("one broker of three frozen"):
        brokers.freeze(order[0])
        await stage.pause(6, 8)
        brokers.thaw(order[0])
    await stage.serving()


async def rebalance_storm(stage: Stage) -> None:
    """F5: a worker joins, leaves as soon as it owns something, and another one joins, over and over."""
    with stage.fault("workers join and leave", workers=True) as aim:
        for number in range(GUESTS):
            guest = stage.crew.hire()
            await stage.shared()
            aim.at(guest)
            await _leaves(guest, orderly=number % 2 == 1)
            await asyncio.sleep(STORM_INTERVAL_S)
    await stage.serving()


async def _leaves(guest: Worker, *, orderly: bool) -> None:
    if not orderly:
        guest.kill()
        return
    with contextlib.suppress(TimeoutError):
        await guest.stop()


async def kafka_stalls(stage: Stage) -> None:
    """F8: the broker stands still for longer than databases wait for a sign of life, while rows flow."""
    with stage.fault("broker frozen"):
        stage.place.brokers.freeze()
        await asyncio.sleep(STALL_S)
        stage.place.brokers.thaw()
    await stage.serving()


async def herd(stage: Stage) -> None:
    """F10: all owners are killed at once, all tenants are wanted at once, and once the server has no room for all."""
    for _ in range(2):
        await stage.shared()
        with stage.fault("all workers killed", *stage.crew.workers, workers=True):
            await _all_killed(stage)
        await stage.pause(2, 4)
    await stage.shared()
    with stage.fault("all workers killed, room for few connections", *stage.crew.workers, database=True):
        async with databases.crowded(stage, ROOM):
            await _all_killed(stage)
            await stage.pause(4, 6)
    await stage.serving()


async def _all_killed(stage: Stage) -> None:
    for worker in stage.crew.workers:
        worker.kill()
    for worker in stage.crew.workers:
        worker.start()
    await stage.serving()


async def clocks_jump(stage: Stage) -> None:
    """A worker's clock jumps by hours and days, forwards and backwards."""
    stage.evidence.clocks_jumped = True
    # By a clock that is hours ahead, nobody has used a tenant for hours: it is stopped, and that is right.
    stage.evidence.steady.clear()
    file = stage.place.directory / f"clock-{stage.settings.topic_prefix}"
    file.write_text("0")
    worker = await stage.owner()
    worker.kill()
    worker.start("--clock", str(file))
    await stage.serving()
    for jump in JUMPS_S:
        await stage.shared()
        with stage.fault("clock jumps", worker):
            # Replaced in one step: a clock is never half written.
            beside = file.with_suffix(".new")
            beside.write_text(str(jump))
            beside.replace(file)
            await stage.pause(3, 5)
        await stage.serving()


class Round(NamedTuple):
    """A kind of round.

    Attributes:
        nemesis: what goes wrong.
        brokers: how many there are.
        workers: how many there are in the beginning.
    """

    nemesis: Nemesis
    brokers: int = 1
    workers: int = 2


ROUNDS: Final[Mapping[str, Round]] = MappingProxyType(
    {
        "F1": Round(frozen_owner),
        "F2": Round(killed),
        "F3": Round(broker_lost),
        "F3x3": Round(leaders_lost, brokers=3),
        "F4": Round(networks.grey_network),
        "F5": Round(rebalance_storm),
        "F6": Round(databases.weather),
        "F7": Round(databases.slots_lost),
        "F8": Round(kafka_stalls),
        "F9": Round(disks.bad_disk),
        "F10": Round(herd),
        "clock": Round(clocks_jump),
    }
)
"""Every kind of round, by its name."""
