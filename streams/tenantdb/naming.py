"""The names and numbers under which this service shows in a tenant's database."""

from __future__ import annotations

import hashlib
import re

CONNECT = "realtime_connect"
"""Application name of the pool and of the lock session, followed by a colon and the claim."""

PROBE = "realtime_connect_probe"
"""Application name of the session that looks for room."""

REPLICATION = "realtime_replication_connection"
"""Application name of the session that streams rows, followed by a colon and the claim; the platform's own has none."""

MIGRATIONS = "realtime_migrations"
"""Application name of the session that migrates and makes partitions."""

JANITOR = "realtime_janitor"
"""Application name of the session that looks after old and coming days."""

OWN_SESSIONS = rf"^{CONNECT}(_probe|:[0-9]+)?$"
"""Regular expression of the names that the search for room does not count (PostgreSQL and Python read it alike)."""

TENANT_LOCK_SPACE = b"tenant-owner"
"""Keeps keys of tenant locks apart from every other advisory lock that is a hash; at most 16 bytes."""

MIGRATION_LOCK_SPACE = b"migration-runner"

PUBLICATION = "supabase_realtime_messages_publication"
"""What is streamed: `realtime.messages`, and nothing else."""

SLOT = "supabase_realtime_messages_replication_slot"
"""Beginning of a slot's name; an underscore and a hash of the tenant's id follow."""

_CLAIMED = re.compile(rf"(?:{CONNECT}|{REPLICATION}):([0-9]{{1,19}})", re.ASCII)


def session_name(claim: int) -> str:
    """Return the application name of a session held under `claim`."""
    return f"{CONNECT}:{claim}"


def replication_session_name(claim: int) -> str:
    """Return the application name of the session that streams rows under `claim`."""
    return f"{REPLICATION}:{claim}"


def slot_name(tenant: str) -> str:
    """Return the name of a tenant's slot, at most 63 characters: 8 bytes of BLAKE2b (RFC 7693) tell tenants apart.

    Names of slots are unique on a server, and one server may have the databases of several tenants
    (https://www.postgresql.org/docs/current/warm-standby.html#STREAMING-REPLICATION-SLOTS-MANIPULATION).
    """
    return f"{SLOT}_{hashlib.blake2b(tenant.encode(), digest_size=8).hexdigest()}"


def claim_of(application_name: str | None) -> int | None:
    """Return the claim in an application name, None where the session is not one of ours."""
    match = _CLAIMED.fullmatch(application_name or "")
    return int(match.group(1)) if match else None


def lock_key(space: bytes, name: str) -> int:
    """Return a signed 64-bit key for `pg_advisory_lock`: BLAKE2b (RFC 7693) of the name, personalised by the space."""
    digest = hashlib.blake2b(name.encode(), digest_size=8, person=space).digest()
    return int.from_bytes(digest, "big", signed=True)
