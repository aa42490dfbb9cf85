"""Sessions that stream rows, seen from a session of SQL: left over, to be ended, or waiting for somebody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from streams.catalog.entry import Database
from streams.tenantdb.failure import translated
from streams.tenantdb.naming import REPLICATION, claim_of

# A session that streams from another slot is another tenant's, whose database this is too.
LEFTOVERS = f"""
select activity.pid, activity.application_name
  from pg_catalog.pg_stat_activity as activity
  left join pg_catalog.pg_replication_slots as slot on slot.active_pid = activity.pid
 where activity.datname = pg_catalog.current_database()
   and (activity.application_name = '{REPLICATION}'
        or pg_catalog.starts_with(activity.application_name, '{REPLICATION}:')
       and (slot.slot_name is null or slot.slot_name = $1))
 order by activity.pid
"""  # noqa: S608  # the name is a constant of ours

# The name is compared too: a process id may have been given to somebody else meanwhile. The function waits for the end
# (https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-SIGNAL).
END = """
select pg_catalog.pg_terminate_backend(pid, $3)
  from pg_catalog.pg_stat_activity
 where pid = $1 and application_name = $2
"""

# Who makes a slot waits for the end of every transaction that has written something, one after another.
BLOCKER = """
select blocker.pid,
       coalesce(activity.application_name, '') as application_name,
       extract(epoch from pg_catalog.clock_timestamp() - activity.xact_start)::bigint as open_s
  from pg_catalog.unnest(pg_catalog.pg_blocking_pids($1)) as blocker (pid)
  left join pg_catalog.pg_stat_activity as activity on activity.pid = blocker.pid
 order by activity.xact_start
 limit 1
"""

OLDEST_PREPARED = """
select gid, extract(epoch from pg_catalog.clock_timestamp() - prepared)::bigint as open_s
  from pg_catalog.pg_prepared_xacts
 order by prepared
 limit 1
"""

# From PostgreSQL 16 on, and for superusers only unless it was granted.
MAY_LOG_SNAPSHOT = """
select pg_catalog.has_function_privilege(pg_catalog.to_regprocedure('pg_catalog.pg_log_standby_snapshot()'), 'execute')
"""

LOG_SNAPSHOT = "select pg_catalog.pg_log_standby_snapshot()"


@dataclass(frozen=True, slots=True)
class Backend:
    """A session of the server: its process id and application name."""

    pid: int
    application_name: str

    def __str__(self) -> str:
        return f"pid {self.pid} (application {self.application_name!r})"


async def clear_leftovers(session: Any, database: Database, *, slot: str, claim: int, wait_ms: int) -> Backend | None:
    """End what older attempts left in this database; return a session that is not ours to end, None where none is left.

    Whoever calls this holds the tenant's lock, so a session of an older claim, or an earlier one of the same claim, has
    no business here any more.

    Args:
        session: of the user that the leftovers have, too.
        database: where the session is, for messages.
        slot: name of the tenant's slot.
        claim: ours.
        wait_ms: longest time for the end of each, in milliseconds.

    Raises:
        TenantDatabaseFailure: a statement failed.
    """
    with translated(database, "Looking for sessions that stream"):
        for row in await session.fetch(LEFTOVERS, slot):
            found = Backend(row["pid"], row["application_name"])
            older = claim_of(found.application_name)
            if older is None or older > claim or not await _end(session, found, wait_ms):
                return found
    return None


async def end_backend(session: Any, database: Database, backend: Backend, wait_ms: int) -> None:
    """End a session and wait for its end, at most `wait_ms`; nothing to do where it has ended.

    Raises:
        TenantDatabaseFailure: the statement failed.
    """
    with translated(database, f"Ending {backend}"):
        await _end(session, backend, wait_ms)


async def blocker_of(session: Any, database: Database, pid: int) -> str | None:
    """Say whose transaction the backend `pid` waits for, None where it waits for none.

    Raises:
        TenantDatabaseFailure: a statement failed.
    """
    with translated(database, "Looking for open transactions"):
        found = await session.fetchrow(BLOCKER, pid)
        if found is None:
            return None
        if found["pid"] == 0:
            prepared = await session.fetchrow(OLDEST_PREPARED)
            return None if prepared is None else f"prepared transaction {prepared['gid']!r}{_age(prepared['open_s'])}"
    return f"{Backend(found['pid'], found['application_name'])}{_age(found['open_s'])}"


async def log_standby_snapshot(session: Any, database: Database) -> bool:
    """Write a list of running transactions to the WAL, where we may: who makes a slot waits for one.

    A quiet server writes none by itself (https://www.postgresql.org/docs/current/functions-admin.html).

    Raises:
        TenantDatabaseFailure: a statement failed.
    """
    with translated(database, "Writing a snapshot to the WAL"):
        if not await session.fetchval(MAY_LOG_SNAPSHOT):
            return False
        await session.fetchval(LOG_SNAPSHOT)
    return True


async def _end(session: Any, backend: Backend, wait_ms: int) -> bool:
    ended = await session.fetchval(END, backend.pid, backend.application_name, wait_ms)
    return ended is not False


def _age(seconds: int | None) -> str:
    return "" if seconds is None else f", transaction open for {seconds} s"
