"""Those who look on during a round: a client that watches events, one that hears broadcasts, one at the databases."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from statemachine.errors import TenantConnectError
from streams.client import ConnectClient
from streams.devstack.postgres import PostgresServer
from streams.settings import Settings
from streams.tenantdb.failure import DRIVER_ERRORS
from streams.topics import Topics
from tests.chaos.collecting import read_all
from tests.chaos.evidence import Evidence, Life, Row, Session, Sight
from tests.chaos.fold import Log
from tests.chaos.workers import Crew

SAMPLE_INTERVAL_S: Final = 0.05
AGAIN_S: Final = 0.5

BEHIND_S: Final = 15.0
"""How far a client that watches may be behind the end of the log: it reads the whole log again after an outage."""

SESSIONS: Final = r"""
select activity.datname, activity.pid, substring(activity.application_name from ':([0-9]+)$')::bigint as claim,
       exists (select from pg_locks as held
                where held.pid = activity.pid and held.locktype = 'advisory' and held.granted) as holder
  from pg_stat_activity as activity
 where activity.datname is not null and activity.application_name ~ '^realtime_(connect|replication_connection):[0-9]+$'
"""

SLOTS: Final = """
select slot.slot_name, slot.database, pg_wal_lsn_diff(pg_current_wal_lsn(), slot.restart_lsn)::bigint as held
  from pg_replication_slots as slot, pg_settings as setting
 where setting.name = 'max_slot_wal_keep_size' and slot.slot_type = 'logical' and not pg_is_in_recovery()
   and pg_wal_lsn_diff(pg_current_wal_lsn(), slot.restart_lsn) > setting.setting::bigint * 1048576
"""
"""Slots that hold more WAL than one may."""

LEFT: Final = "select database from pg_replication_slots where slot_type = 'logical'"


async def watch(client: ConnectClient, evidence: Evidence) -> None:
    """Note what a client is shown as counting; after a failure it looks from the beginning again."""
    evidence.watched = set()
    while True:
        try:
            async for entry in client.watch(start="start"):
                evidence.watched.add((entry.partition, entry.offset))
        except TenantConnectError:
            await asyncio.sleep(AGAIN_S)
        else:
            return


async def watched_to_the_end(settings: Settings, evidence: Evidence) -> None:
    """Note where the log ends now, and return when all that counts up to there was shown, or after `BEHIND_S`."""
    log = Log(await asyncio.to_thread(read_all, settings, Topics(settings).events))
    evidence.watched_until = log.ends
    deadline = time.monotonic() + BEHIND_S
    while not log.counting <= (evidence.watched or set()) and time.monotonic() < deadline:  # noqa: ASYNC110  it is shown
        await asyncio.sleep(AGAIN_S)


async def hear(client: ConnectClient, evidence: Evidence) -> None:
    """Note what a client is given of broadcasts."""
    while True:
        try:
            async for heard in client.broadcasts(start="start"):
                row = Row(heard.id, heard.claim, heard.lsn, heard.ordinal)
                evidence.delivered[heard.tenant].append(row)
        except TenantConnectError:
            evidence.delivered.clear()
            await asyncio.sleep(AGAIN_S)
        else:
            return


async def sample(server: PostgresServer, evidence: Evidence) -> None:
    """Note who has sessions with which database, as often as `SAMPLE_INTERVAL_S`."""
    while True:
        try:
            session = await server.superuser_connection()
        except DRIVER_ERRORS:
            await asyncio.sleep(AGAIN_S)
            continue
        try:
            while True:
                note(evidence, time.time(), await session.fetch(SESSIONS))
                evidence.held += [(time.time(), row["slot_name"], row["held"]) for row in await session.fetch(SLOTS)]
                await asyncio.sleep(SAMPLE_INTERVAL_S)
        except DRIVER_ERRORS:
            continue
        finally:
            session.terminate()


async def census(crew: Crew, evidence: Evidence) -> None:
    """Note which processes of workers go on, and which stand still, as often as `SAMPLE_INTERVAL_S`."""
    while True:
        for worker in crew.workers:
            pid, now = worker.pid, time.time()
            if pid is not None:
                count(evidence, worker.name, Life(pid, worker.frozen, now, now))
        await asyncio.sleep(SAMPLE_INTERVAL_S)


def count(evidence: Evidence, worker: str, seen: Life) -> None:
    """Add one look at a worker's process."""
    lives = evidence.lives[worker]
    if lives and lives[-1][:2] == seen[:2]:
        lives[-1] = lives[-1]._replace(last=seen.last)
    else:
        lives.append(seen)


def note(evidence: Evidence, now: float, rows: list[Any]) -> None:
    """Add one look at all sessions."""
    found: dict[str, set[Session]] = {tenant: set() for tenant in evidence.sights}
    for row in rows:
        found.setdefault(row["datname"], set()).add(Session(row["pid"], row["claim"], row["holder"]))
    for tenant, sessions in found.items():
        sights, seen = evidence.sights[tenant], frozenset(sessions)
        if sights and sights[-1].sessions == seen:
            sights[-1] = sights[-1]._replace(last=now)
        else:
            sights.append(Sight(now, now, seen))


async def left(server: PostgresServer) -> set[str]:
    """Tenants with sessions of a worker, or slots."""
    session = await server.superuser_connection()
    try:
        slots = {row["database"] for row in await session.fetch(LEFT)}
        return slots | {row["datname"] for row in await session.fetch(SESSIONS)}
    finally:
        await session.close()
