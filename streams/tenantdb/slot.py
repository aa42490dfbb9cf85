"""Replication slots of a tenant: who holds ours, whether it is alive, whether it falls behind."""

from __future__ import annotations

from enum import Enum
from typing import Any

import asyncpg

from streams.catalog.entry import Database
from streams.tenantdb.failure import translated
from streams.tenantdb.walsender import Backend

FIND = """
select slot.active_pid, coalesce(activity.application_name, '') as application_name
  from pg_catalog.pg_replication_slots as slot
  left join pg_catalog.pg_stat_activity as activity on activity.pid = slot.active_pid
 where slot.slot_name = $1
"""

DROP = "select pg_catalog.pg_drop_replication_slot($1)"

# max_slot_wal_keep_size counts megabytes, and -1 is no limit. Where restart_lsn is missing the server has taken the
# WAL away (https://www.postgresql.org/docs/current/view-pg-replication-slots.html).
HEALTH = """
select slot.active,
       slot.restart_lsn is null as lost,
       setting.megabytes > 0
       and pg_catalog.pg_current_wal_lsn() - slot.restart_lsn > setting.megabytes * 1024 * 1024 / 2 as lagging
  from pg_catalog.pg_replication_slots as slot
 cross join (select setting::bigint as megabytes
               from pg_catalog.pg_settings
              where name = 'max_slot_wal_keep_size') as setting
 where slot.slot_name = $1
"""


class SlotHealth(Enum):
    """What became of a slot that is streamed from."""

    ALIVE = "alive"
    MISSING = "missing"
    INACTIVE = "inactive"
    LAGGING = "lagging"


async def free_slot(session: Any, database: Database, name: str) -> Backend | None:
    """Drop a slot that nobody streams from; return who does, None where the name is free now.

    Args:
        session: of a user who may replicate.
        database: where the session is, for messages.
        name: of the slot.

    Raises:
        TenantDatabaseFailure: a statement failed.
    """
    with translated(database, f"Looking for a slot {name}"):
        found = await session.fetchrow(FIND, name)
        if found is None:
            return None
        if found["active_pid"] is not None:
            return Backend(found["active_pid"], found["application_name"])
        try:
            await session.fetchval(DROP, name)
        except asyncpg.UndefinedObjectError:
            return None  # a temporary one, whose session ended at last
        return None


async def slot_health(session: Any, database: Database, name: str) -> SlotHealth:
    """Look at a slot, in one query. Lagging, by more than half of `max_slot_wal_keep_size`, is worse than inactive.

    Raises:
        TenantDatabaseFailure: the statement failed.
    """
    with translated(database, f"Looking at the slot {name}"):
        found = await session.fetchrow(HEALTH, name)
    if found is None or found["lost"]:
        return SlotHealth.MISSING
    if found["lagging"]:
        return SlotHealth.LAGGING
    return SlotHealth.ALIVE if found["active"] else SlotHealth.INACTIVE
