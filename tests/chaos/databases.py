"""Faults of databases: their weather, and what becomes of replication slots."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from streams.catalog.store import Catalog
from streams.tenantdb.failure import DRIVER_ERRORS
from tests.chaos.migrating import killed_in_migration
from tests.chaos.stage import LOOK_INTERVAL_S, Stage
from tests.chaos.standbys import standby_promoted

FULL_S: Final = 4.0
OPEN_S: Final = 4.0
LOSSES: Final = 20
"""How often all slots are lost, one time after the other."""

HOGS_MAX: Final = 400
"""Connections that are tried for, to leave no room."""

END: Final = "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'realtime%'"
GONE_S: Final = 10.0
"""How long a slot may take to go with its session."""

LOSE: Final = """
select active_pid from pg_replication_slots
 where slot_name like 'supabase_realtime%' and temporary and pg_terminate_backend(active_pid)
"""
LEFT: Final = "select count(*) from pg_replication_slots where active_pid = any($1::int[])"


async def weather(stage: Stage) -> None:
    """F6: sessions are ended, the server crashes, has no room, passwords change, a worker dies while it migrates."""
    server = stage.place.server
    for _ in range(2):
        with stage.fault("all sessions ended by the server", database=True):
            await _ask(stage, END)
        await stage.pause(2, 3)
    with stage.fault("database server crashes", database=True):
        await asyncio.to_thread(server.kill)
        await stage.pause(1, 2)
        await asyncio.to_thread(server.start)
    await stage.serving()
    await stage.pause(2, 3)
    with stage.fault("no connection left", database=True):
        hogs = await _hogs(stage)
        await _ask_with(hogs[0], END)
        await asyncio.sleep(FULL_S)
        for hog in hogs:
            hog.terminate()
    await stage.serving()
    with stage.fault("a password is changed", database=True):
        await _rotate(stage)
    await stage.serving()
    await killed_in_migration(stage)


async def slots_lost(stage: Stage) -> None:
    """F7: slots are lost under their streams, others hold up new ones and flood the WAL, a standby is promoted."""
    with stage.fault("slots lost", database=True) as aim:
        lost = 0
        for _ in range(LOSSES):
            lost += await _slots_ended(stage)
            await stage.pause(0.1, 0.3)
        aim.became = f"{lost} slots went, in {LOSSES} goes"
        assert lost, "no slot was lost: nothing was streamed"
    await stage.pause(2, 3)
    with stage.fault("a transaction holds up new slots", database=True):
        session = await stage.place.server.superuser_connection()
        transaction = session.transaction()
        await transaction.start()
        await session.fetchval("select txid_current()")
        await _ask(stage, END)
        await asyncio.sleep(OPEN_S)
        await transaction.rollback()
        await session.close()
    with stage.fault("WAL flooded by others", database=True):
        await _ask(
            stage, "select pg_logical_emit_message(false, 'x', repeat('x', 1048576)) from generate_series(1, 100)"
        )
        await _ask(stage, "checkpoint")
    await stage.serving()
    await standby_promoted(stage)


async def _slots_ended(stage: Stage) -> int:
    """End the sessions that send from slots, and only those; temporary slots go with them. Gives how many went."""
    session = await stage.place.server.superuser_connection()
    try:
        senders = [row["active_pid"] for row in await session.fetch(LOSE)]
        async with asyncio.timeout(GONE_S):
            while await session.fetchval(LEFT, senders):  # noqa: ASYNC110  a server tells nobody
                await asyncio.sleep(LOOK_INTERVAL_S)
    finally:
        session.terminate()
    return len(senders)


@asynccontextmanager
async def crowded(stage: Stage, room: int) -> AsyncIterator[None]:
    """Others have all connections of the server but so many; who held some before has lost them."""
    hogs = await _hogs(stage)
    await _ask_with(hogs[0], END)
    hogs += await _hogs(stage)
    for hog in hogs[-room:]:
        hog.terminate()
    try:
        yield
    finally:
        for hog in hogs[:-room]:
            hog.terminate()


async def _hogs(stage: Stage) -> list[Any]:
    """Sessions of the administrator until the server has room for no more."""
    hogs: list[Any] = []
    with contextlib.suppress(*DRIVER_ERRORS):
        while len(hogs) < HOGS_MAX:
            hogs.append(await stage.place.server.superuser_connection())
    return hogs


async def _rotate(stage: Stage) -> None:
    """The passwords of some tenants change, first at the server, then in the catalog."""
    tenants = [tenant for tenant in stage.cast.real if tenant not in stage.cast.steady][:3]
    catalog = Catalog(stage.settings)
    for tenant in tenants:
        password = f"rotated-{stage.chance.getrandbits(96):x}"
        stage.evidence.secrets[f"the new password of {tenant}"] = password.encode()
        await _ask(stage, f"alter role \"{tenant}\" password '{password}'")
        await _ask(stage, f"select pg_terminate_backend(pid) from pg_stat_activity where usename = '{tenant}'")  # noqa: S608  names made here
        await asyncio.sleep(0.5)
        entry = await asyncio.to_thread(catalog.get, tenant)
        database = entry.database.model_copy(update={"password": type(entry.database.password)(password)})
        await asyncio.to_thread(catalog.put, entry.model_copy(update={"database": database}))


async def _ask(stage: Stage, statement: str) -> None:
    session = await stage.place.server.superuser_connection()
    try:
        await _ask_with(session, statement)
    finally:
        session.terminate()


async def _ask_with(session: Any, statement: str) -> None:
    await session.execute(statement)
