"""The names and numbers under which this service shows in a tenant's database."""

from __future__ import annotations

import hashlib
import re

CONNECT = "realtime_connect"
"""Application name of the pool and of the lock session, followed by a colon and the claim."""

PROBE = "realtime_connect_probe"
"""Application name of the session that looks for room."""

MIGRATIONS = "realtime_migrations"
"""Application name of the session that migrates and makes partitions."""

OWN_SESSIONS = rf"^{CONNECT}(_probe|:[0-9]+)?$"
"""Regular expression of the names that the search for room does not count (PostgreSQL and Python read it alike)."""

TENANT_LOCK_SPACE = b"tenant-owner"
"""Keeps keys of tenant locks apart from every other advisory lock that is a hash; at most 16 bytes."""

MIGRATION_LOCK_SPACE = b"migration-runner"

_CLAIMED = re.compile(rf"{CONNECT}:([0-9]{{1,19}})", re.ASCII)


def session_name(claim: int) -> str:
    """Return the application name of a session held under `claim`."""
    return f"{CONNECT}:{claim}"


def claim_of(application_name: str | None) -> int | None:
    """Return the claim in an application name, None where the session is not one of ours."""
    match = _CLAIMED.fullmatch(application_name or "")
    return int(match.group(1)) if match else None


def lock_key(space: bytes, name: str) -> int:
    """Return a signed 64-bit key for `pg_advisory_lock`: BLAKE2b (RFC 7693) of the name, personalised by the space."""
    digest = hashlib.blake2b(name.encode(), digest_size=8, person=space).digest()
    return int.from_bytes(digest, "big", signed=True)
