"""The publication that is streamed: made, looked at, made again where it is not for `realtime.messages` alone."""

from __future__ import annotations

from enum import Enum
from typing import Any

from streams.catalog.entry import Database
from streams.tenantdb.failure import translated
from streams.tenantdb.naming import PUBLICATION

# Columns of pg_publication_rel that not every version has are read as JSON: a row filter and a list of columns would
# both keep something back.
STATE = """
select publication.pubinsert
       and not publication.puballtables
       and (select pg_catalog.count(*) = 1
                   and pg_catalog.bool_and(member.prrelid = 'realtime.messages'::pg_catalog.regclass
                                           and pg_catalog.to_jsonb(member) ->> 'prqual' is null
                                           and pg_catalog.to_jsonb(member) ->> 'prattrs' is null)
              from pg_catalog.pg_publication_rel as member
             where member.prpubid = publication.oid)
       and not exists (select
                         from pg_catalog.pg_publication_tables as published
                        where published.pubname = publication.pubname
                          and (published.schemaname <> 'realtime'
                               or published.tablename <> 'messages'
                              and not pg_catalog.starts_with(published.tablename, 'messages_')))
  from pg_catalog.pg_publication as publication
 where publication.pubname = $1
"""

CREATE = f"create publication {PUBLICATION} for table realtime.messages"

# One simple query with two statements is one transaction: nobody sees the publication missing.
RECREATE = f"drop publication {PUBLICATION}; {CREATE}"


class Publication(Enum):
    """What became of the publication."""

    KEPT = "kept"
    CREATED = "created"
    RECREATED = "recreated"


async def ensure_publication(session: Any, database: Database, timeout_ms: int) -> Publication:
    """Make the publication cover all of `realtime.messages`, its future partitions included, and nothing else.

    Has to be done before the slot is made: changes are decoded with the publication as it was when they were written
    (https://www.postgresql.org/docs/current/logical-replication-publication.html).

    Args:
        session: of a user who owns `realtime.messages`, and the publication where there is one.
        database: where the session is, for messages.
        timeout_ms: longest time for each statement, in milliseconds.

    Raises:
        TenantDatabaseFailure: a statement failed.
    """
    timeout = timeout_ms / 1000
    with translated(database, f"Preparing the publication {PUBLICATION}"):
        valid = await session.fetchval(STATE, PUBLICATION, timeout=timeout)
        if valid:
            return Publication.KEPT
        await session.execute(CREATE if valid is None else RECREATE, timeout=timeout)
    return Publication.CREATED if valid is None else Publication.RECREATED
