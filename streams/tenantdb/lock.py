"""The advisory lock of a tenant: taken, taken over from an older claim, or left to a newer one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import asyncpg

from streams.catalog.entry import Database
from streams.tenantdb.failure import (
    NewerClaimHoldsLock,
    OperationalCode,
    Reason,
    TenantDatabaseFailure,
    target,
    translated,
)
from streams.tenantdb.naming import (
    TENANT_LOCK_SPACE,
    claim_of,
    lock_key,
    replication_session_name,
    session_name,
)

QUEUE_MS = 200
"""Longest time in the queue for the lock, before its holder is looked at again: there may be another one by then."""

# Session level: it ends with the session and with nothing else
# (https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS).
TAKE = "select pg_catalog.pg_try_advisory_lock($1)"

QUEUE = "select pg_catalog.pg_advisory_lock($1)"

# A 64-bit key stands in pg_locks as two halves, with objsubid 1
# (https://www.postgresql.org/docs/current/view-pg-locks.html).
HOLDER = """
select activity.pid, activity.application_name, activity.usename
  from pg_catalog.pg_locks as lock
  join pg_catalog.pg_stat_activity as activity on activity.pid = lock.pid
 where lock.locktype = 'advisory' and lock.granted and lock.objsubid = 1
   and lock.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
   and (lock.classid::bigint << 32 | lock.objid::bigint) = $1
"""

END_SESSIONS = """
select pg_catalog.pg_terminate_backend(pid)
  from pg_catalog.pg_stat_activity
 where datname = pg_catalog.current_database() and application_name = any($1::text[])
   and pid <> pg_catalog.pg_backend_pid()
"""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the lock: backend process id, application name, user, and its claim if it is one of ours."""

    pid: int
    application_name: str
    user: str
    claim: int | None


async def take_lock(session: Any, database: Database, *, tenant: str, claim: int, wait_ms: int) -> None:
    """Take the tenant's lock on this session.

    A holder with an older claim, or with ours (an earlier session of this worker), is ended together with its pool and
    its stream. One that comes back at once does not overtake us: we are in the lock's queue by then, and the server
    gives no lock to an attempt that does not wait while somebody waits for it.

    Args:
        session: keeps the lock for as long as it lives; its `lock_timeout` is changed.
        database: where the session is, for messages.
        tenant: whose lock.
        claim: under which we come.
        wait_ms: longest time for ending holders, in milliseconds.

    Raises:
        NewerClaimHoldsLock: the holder has a newer claim.
        TenantDatabaseFailure: the holder is not one of ours, or did not go in time, or a statement failed.
    """
    key = lock_key(TENANT_LOCK_SPACE, tenant)
    deadline = time.monotonic() + wait_ms / 1000
    ended: set[int] = set()
    with translated(database, "Taking the tenant's lock"):
        taken = await session.fetchval(TAKE, key)
        if not taken:
            await session.execute(f"set lock_timeout = {QUEUE_MS}")
        while not taken:
            holder = await _holder(session, key)
            if holder is not None:
                ended.add(await _end(session, database, holder, claim))
            if time.monotonic() >= deadline:
                raise _held(database, holder, f"did not let go within {wait_ms} ms")
            taken = await _queue(session, key)
        # Between its end and our lock an older owner may have opened one more pooled session.
        for older in ended:
            await _end_sessions(session, older)


async def _queue(session: Any, key: int) -> bool:
    """Wait for the lock, at most `QUEUE_MS`; whether it was had."""
    try:
        await session.execute(QUEUE, key)
    except asyncpg.LockNotAvailableError:
        return False
    return True


async def _holder(session: Any, key: int) -> Holder | None:
    row = await session.fetchrow(HOLDER, key)
    if row is None:
        return None
    name = row["application_name"] or ""
    return Holder(pid=row["pid"], application_name=name, user=row["usename"] or "?", claim=claim_of(name))


async def _end(session: Any, database: Database, holder: Holder, claim: int) -> int:
    if holder.claim is None:
        raise _held(database, holder, "is no session of this service; end it, or find out who uses our lock's key")
    if holder.claim > claim:
        raise NewerClaimHoldsLock(claim, holder.claim)
    await _end_sessions(session, holder.claim)
    return holder.claim


async def _end_sessions(session: Any, claim: int) -> None:
    await session.fetch(END_SESSIONS, [session_name(claim), replication_session_name(claim)])


def _held(database: Database, holder: Holder | None, why: str) -> TenantDatabaseFailure:
    who = (
        f"backend {holder.pid} (application name {holder.application_name!r}, user {holder.user!r})"
        if holder
        else "a session that is gone again"
    )
    return TenantDatabaseFailure(
        Reason.UNAVAILABLE,
        OperationalCode.UNABLE_TO_CONNECT,
        f"The tenant's lock on {target(database)} is held: {who} {why}.",
    )
