"""Faults of the network: between a worker and Kafka, and between workers and their tenants' databases."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from streams.errors import ConsumerSilent
from tests.chaos.gates import Gate
from tests.chaos.place import DATABASE_PROXY, KAFKA_PROXY
from tests.chaos.stage import LOOK_INTERVAL_S, Aim, Stage
from tests.chaos.toxiproxy import Network
from tests.chaos.workers import Worker

CUT_S: Final = 10.0
"""Two and a half session timeouts."""

SLOW_MS: Final = 200
JITTER_MS: Final = 100

TRICKLE_KB_S: Final = 2
"""So little that heartbeats pass and fetches do not."""

DATABASES_KB_S: Final = 1
"""Of each connection: so little that what takes a moment otherwise takes seconds."""

RESET_MS: Final = 200
"""How long a connection lives before it is reset."""

CANARY_INTERVAL_MS: Final = 500
CANARY_TIMEOUT_MS: Final = 6_000
"""How long the worker whose fetches are held may not hear its own canaries."""

GIVEN_UP_S: Final = 20.0
"""How long until others must own all that such a worker owned: its canaries' time, its end, and a rebalance."""


async def grey_network(stage: Stage) -> None:
    """F4: the network of one worker, and that of all databases, is cut, half cut, slowed, reset, and loses fetches."""
    network = stage.place.network
    if network is None:
        stage.skipped.append("faults of the network: Toxiproxy cannot be built here (it needs Go)")
    else:
        await _kafka(stage, network)
        await _databases(stage, network)
        await _databases_harmed(stage, network)
    bounds = {"canary_interval_ms": CANARY_INTERVAL_MS, "canary_timeout_ms": CANARY_TIMEOUT_MS}
    await _gated(stage, _fetches_held, **bounds)
    await _gated(stage, _fallen_silent)


async def _kafka(stage: Stage, network: Network) -> None:
    """The first worker is the one behind the network that goes wrong."""
    worker = stage.crew.workers[0]
    await stage.shared()
    with stage.fault("Kafka slow for one worker", worker):
        for stream in ("upstream", "downstream"):
            await network.poison(KAFKA_PROXY, "latency", stream, latency=SLOW_MS, jitter=JITTER_MS)
        await asyncio.sleep(CUT_S / 2)
        await network.heal()
    for kind, toxic, stream, attributes in (
        ("Kafka's answers lost for one worker", "timeout", "downstream", {"timeout": 0}),
        ("Kafka does not hear one worker", "timeout", "upstream", {"timeout": 0}),
        ("fetches of one worker trickle", "bandwidth", "downstream", {"rate": TRICKLE_KB_S}),
        ("connections of one worker to Kafka reset", "reset_peer", "downstream", {"timeout": RESET_MS}),
    ):
        await stage.serving()
        await stage.shared()
        with stage.fault(kind, worker):
            await network.poison(KAFKA_PROXY, toxic, stream, **attributes)
            await asyncio.sleep(CUT_S)
            await _reconnected(network, KAFKA_PROXY)
    await stage.serving()
    await stage.shared()


async def _reconnected(network: Network, proxy: str) -> None:
    """Mend a cut. What was sent meanwhile is gone, and TCP would not go on after that: such connections end first."""
    await network.refuse(proxy)
    await network.heal()


async def _databases(stage: Stage, network: Network) -> None:
    with stage.fault("databases cut off", database=True):
        await network.cut(DATABASE_PROXY)
        await asyncio.sleep(CUT_S / 2)
        await _reconnected(network, DATABASE_PROXY)
    await stage.serving()
    with stage.fault("connections to databases refused", database=True):
        await network.refuse(DATABASE_PROXY)
        await stage.pause(1, 2)
        await network.heal()
    with stage.fault("databases slow", database=True):
        await network.poison(DATABASE_PROXY, "latency", "downstream", latency=SLOW_MS, jitter=JITTER_MS)
        await asyncio.sleep(CUT_S / 2)
        await network.heal()


async def _databases_harmed(stage: Stage, network: Network) -> None:
    """What carries on to databases or from them is lost, so slow that it is next to nothing, or reset."""
    for kind, toxic, stream, attributes in (
        ("answers of databases lost", "timeout", "downstream", {"timeout": 0}),
        ("databases do not hear", "timeout", "upstream", {"timeout": 0}),
        ("answers of databases trickle", "bandwidth", "downstream", {"rate": DATABASES_KB_S}),
        ("connections to databases reset", "reset_peer", "downstream", {"timeout": RESET_MS}),
    ):
        with stage.fault(kind, database=True):
            await network.poison(DATABASE_PROXY, toxic, stream, **attributes)
            await asyncio.sleep(CUT_S / 2)
            await _reconnected(network, DATABASE_PROXY)
        await stage.serving()
        await stage.pause(1, 2)


async def _gated(stage: Stage, harm: Callable[[Stage, Gate, Worker], Awaitable[None]], **changed: int) -> None:
    """One worker more comes to Kafka through the gate, with other settings where some are given, and is harmed."""
    gate = stage.place.gate
    assert gate is not None, "there is no gate to several brokers"
    guest = stage.crew.hire(kafka=gate.address, **changed)
    await stage.shared()
    await harm(stage, gate, guest)
    await stage.shared()
    await guest.stop()
    await stage.serving()


async def _fetches_held(stage: Stage, gate: Gate, guest: Worker) -> None:
    """A worker hears nothing and keeps its heartbeats: its canaries end it, and others serve its tenants meanwhile."""
    with stage.fault("fetches of one worker held, heartbeats pass", guest) as aim:
        gate.hold()
        try:
            await _given_up(stage, guest, aim)
            await stage.serving()
        finally:
            gate.release()


async def _fallen_silent(stage: Stage, gate: Gate, guest: Worker) -> None:
    """All connections of a worker carry nothing any more and stay open: it has to find out, and to connect anew."""
    with stage.fault("connections of one worker fall silent", guest) as aim:
        gate.mute()
        began, ended = time.monotonic(), guest.ended.total()
        await stage.crew.lost(guest, GIVEN_UP_S)
        await stage.shared()
        how = "connected anew" if guest.ended.total() == ended else "ended itself and started again"
        aim.became = f"{guest.name} {how}, and owned something again after {time.monotonic() - began:.1f} s"
        stage.say(f"    {aim.became}")


async def _given_up(stage: Stage, guest: Worker, aim: Aim) -> None:
    """Wait until others own what a worker owned; note what became of it.

    Raises:
        TimeoutError: they do not, so nobody serves those tenants.
    """
    crew, began = stage.crew, time.monotonic()
    lost = set(crew.owned_by(guest))
    try:
        async with asyncio.timeout(GIVEN_UP_S):
            while not lost <= crew.owned - set(crew.owned_by(guest)):  # noqa: ASYNC110  processes tell nobody
                await asyncio.sleep(LOOK_INTERVAL_S)
    except TimeoutError:
        problem = f"{guest.name} hears nothing and after {GIVEN_UP_S:.0f} s nobody else owns {sorted(lost)}"
        raise TimeoutError(f"{problem}:\n{guest.tail}") from None
    after_s = time.monotonic() - began
    silent = f'"code": "{ConsumerSilent.code}"'.encode() in guest.log_path.read_bytes()
    how = f"ended itself for its canaries ({ConsumerSilent.code})" if silent else "lost its partitions to the group"
    aim.became = f"{guest.name} {how}; others owned its {len(lost)} partitions after {after_s:.1f} s, and served them"
    stage.say(f"    {aim.became}")
