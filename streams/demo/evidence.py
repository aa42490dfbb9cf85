"""What the tenants' PostgreSQL says about who is connected: nobody can fake that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from streams.devstack.tenant_database import Superuser
from streams.tenantdb.naming import CONNECT, claim_of

SESSIONS: Final = """
select pid, datname, application_name
  from pg_catalog.pg_stat_activity
 where datname = any($1::text[]) and application_name like $2 || '%'
 order by datname, pid
"""


@dataclass(frozen=True, slots=True)
class Session:
    """A session of this service in a tenant's database.

    Attributes:
        pid: of the PostgreSQL backend.
        database: the tenant's.
        name: application name; it ends with the claim that the session is held under.
    """

    pid: int
    database: str
    name: str

    @property
    def claim(self) -> int | None:
        """The claim it is held under; None for a short session, such as a check."""
        return claim_of(self.name)


async def sessions(superuser: Superuser, databases: Sequence[str]) -> list[Session]:
    """Every session of this service in these databases."""
    connection = await superuser.connect()
    try:
        rows = await connection.fetch(SESSIONS, list(databases), CONNECT)
    finally:
        await connection.close()
    return [Session(row["pid"], row["datname"], row["application_name"]) for row in rows]
