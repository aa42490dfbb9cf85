"""Faults of the network: between a worker and Kafka, and between workers and their tenants' databases."""

from __future__ import annotations

import asyncio
from typing import Final

from tests.chaos.place import DATABASE_PROXY, KAFKA_PROXY
from tests.chaos.stage import Stage
from tests.chaos.toxiproxy import Network

CUT_S: Final = 10.0
"""Two and a half session timeouts."""

SLOW_MS: Final = 200
JITTER_MS: Final = 100
SHARED_S: Final = 20.0
"""How long a worker may take to own something again before the next fault comes anyway."""

TRICKLE_KB_S: Final = 2
"""So little that heartbeats pass and fetches do not."""


async def grey_network(stage: Stage) -> None:
    """F4: the network of the first worker, and that of all databases, is cut, half cut, slowed, and reset."""
    network = stage.place.network
    if network is None:
        stage.skipped.append("faults of the network: Toxiproxy cannot be built here (it needs Go)")
        return
    with stage.fault("Kafka slow for one worker"):
        for stream in ("upstream", "downstream"):
            await network.poison(KAFKA_PROXY, "latency", stream, latency=SLOW_MS, jitter=JITTER_MS)
        await asyncio.sleep(CUT_S / 2)
        await network.heal()
    await stage.serving()
    for kind, toxic, stream, attributes in (
        ("Kafka's answers lost for one worker", "timeout", "downstream", {"timeout": 0}),
        ("Kafka does not hear one worker", "timeout", "upstream", {"timeout": 0}),
        ("fetches of one worker stall", "bandwidth", "downstream", {"rate": TRICKLE_KB_S}),
        ("connections of one worker to Kafka reset", "reset_peer", "downstream", {"timeout": 200}),
    ):
        with stage.fault(kind):
            await network.poison(KAFKA_PROXY, toxic, stream, **attributes)
            await asyncio.sleep(CUT_S)
            await _reconnected(network, KAFKA_PROXY)
        await stage.serving()
        await stage.crew.shared(SHARED_S)
    await _databases(stage)


async def _reconnected(network: Network, proxy: str) -> None:
    """Mend a cut. What was sent meanwhile is gone, and TCP would not go on after that: such connections end first."""
    await network.refuse(proxy)
    await network.heal()


async def _databases(stage: Stage) -> None:
    network = stage.place.network
    assert network is not None
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
