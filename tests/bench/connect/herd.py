"""A herd: far more tenants than a server has room for, all wanted at once after their worker was killed."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from statemachine.machines import Lifecycle
from statemachine.state import TenantState
from statemachine.why import why
from streams.client import ConnectClient
from streams.history import History
from streams.settings import Settings

LOOK_INTERVAL_S: Final = 0.05
"""How often the server is asked how many sessions it has."""

QUIET_S: Final = 5.0
"""The herd has settled when nothing was written for as long as that."""

USERS_TTL_MS: Final = 600_000

SESSIONS: Final = """
select count(*) filter (where application_name ~ '^realtime_connect(:|$)') as held,
       count(*) filter (where application_name in ('realtime_connect_probe', 'realtime_migrations')) as short,
       count(*) filter (where backend_type = 'client backend') as clients
  from pg_catalog.pg_stat_activity
"""

HELD: Final = """
select datname from pg_catalog.pg_stat_activity where application_name ~ '^realtime_connect:'
 group by datname order by min(backend_start)
"""


@dataclass(slots=True)
class Pressure:
    """The most sessions that the server had at once: held, short ones, and all clients'."""

    held: int = 0
    short: int = 0
    clients: int = 0


@dataclass(frozen=True, slots=True)
class Herd:
    """What came of it.

    Attributes:
        tenants: how many were wanted.
        ready: how many became ready.
        with_users: how many that somebody used, and of those how many were ready.
        ranks: the places of those among all that are held, from 1, in the order in which they were opened.
        seconds: from the first command to the last event.
        pressure: what the server saw.
        rest: why the others are not ready: reason, what comes next; and how many.
    """

    tenants: int
    ready: int
    with_users: tuple[int, int]
    ranks: tuple[int, ...]
    seconds: float
    pressure: Pressure
    rest: Counter[tuple[str, str]]


async def watch_server(connection: Any, pressure: Pressure) -> None:
    """Ask the server again and again, until cancelled."""
    while True:
        row = await connection.fetchrow(SESSIONS)
        pressure.held = max(pressure.held, row["held"])
        pressure.short = max(pressure.short, row["short"])
        pressure.clients = max(pressure.clients, row["clients"])
        await asyncio.sleep(LOOK_INTERVAL_S)


async def report_users(settings: Settings, tenants: Sequence[str]) -> None:
    """Somebody uses these."""
    async with ConnectClient(settings) as client:
        for tenant in tenants:
            await client.report_users(tenant, 3, gateway="bench", ttl_ms=USERS_TTL_MS)


async def held_in_order(connection: Any) -> list[str]:
    """The tenants that are held, in the order in which their sessions were opened."""
    return [row["datname"] for row in await connection.fetch(HELD)]


async def settled(settings: Settings, begin: Callable[[], None]) -> float:
    """Seconds from ``begin`` to the last event."""
    follower = await asyncio.to_thread(History(settings).follow, (), "now")
    begun = last = time.monotonic()
    begin()
    while time.monotonic() - last < QUIET_S:
        if await asyncio.to_thread(follower.poll):
            last = time.monotonic()
    await asyncio.to_thread(follower.close)
    return last - begun


def judged(settings: Settings, used: Sequence[str], order: Sequence[str], seconds: float, pressure: Pressure) -> Herd:
    """The states after the herd has settled, folded from the log."""
    states = History(settings).replay(None, None)
    ready = {name for name, state in states.items() if state.lifecycle is Lifecycle.READY}
    places = {tenant: place for place, tenant in enumerate(order, 1)}
    rest = Counter(_rest(state) for name, state in states.items() if name not in ready)
    return Herd(
        tenants=len(states),
        ready=len(ready),
        with_users=(len(used), len(ready & set(used))),
        ranks=tuple(sorted(places[tenant] for tenant in used if tenant in places)),
        seconds=seconds,
        pressure=pressure,
        rest=rest,
    )


def _rest(state: TenantState) -> tuple[str, str]:
    explained = why(state)
    return explained.code, explained.next
