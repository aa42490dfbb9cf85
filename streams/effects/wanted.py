"""The catalog entry of a tenant, or why it is not to be connected."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Final, NamedTuple

from statemachine.commands import EffectFailed
from statemachine.state import ReplicationMode, StopReason
from streams.catalog.entry import CatalogEntry, Database
from streams.effects.means import Means
from streams.errors import CatalogUnreadable, CredentialsUnreadable

FINGERPRINT_BYTES: Final = 8
"""Bytes of a fingerprint; it tells two entries of one tenant apart and guards nothing."""


class Unwanted(Exception):
    """The catalog says that the tenant is not to be connected.

    Attributes:
        failure: the same as a report.
    """

    def __init__(self, reason: StopReason, code: str | None, message: str) -> None:
        super().__init__(message)
        self.failure = EffectFailed(reason, code, message)


class Wanted(NamedTuple):
    """What a tenant is connected with; where the catalog says otherwise, it is connected anew.

    Attributes:
        database: where to, and as whom.
        mode: how rows are streamed.
    """

    database: Database
    mode: ReplicationMode

    @property
    def fingerprint(self) -> str:
        """Hexadecimal BLAKE2b (RFC 7693) of everything but the password: the next owner compares it with the entry.

        A password is no part of it, for whoever reads the log could try passwords against it; a new one is taken
        with the next session anyway.
        """
        known = {**self.database.model_dump(mode="json", exclude={"password"}), "mode": self.mode.value}
        text = json.dumps(known, sort_keys=True)
        return blake2b(text.encode(), digest_size=FINGERPRINT_BYTES).hexdigest()


async def entry_of(means: Means, tenant: str) -> CatalogEntry:
    """The tenant's entry as of now.

    Raises:
        Unwanted: it has none, or none that can be read, or is suspended, or another region's.
        KafkaUnreachable: the catalog cannot be asked.
    """
    try:
        entry = await means.load(tenant)
    except (CatalogUnreadable, CredentialsUnreadable) as error:
        raise Unwanted(StopReason.DATABASE_UNAVAILABLE, error.code, str(error)) from error
    if entry is None:
        raise Unwanted(StopReason.TENANT_NOT_FOUND, "TenantNotFound", "the catalog has no such tenant")
    if entry.suspended:
        raise Unwanted(StopReason.SUSPENDED, "RealtimeDisabledForTenant", "the tenant is suspended")
    if not means.serves(entry.region):
        raise Unwanted(StopReason.REBALANCING, None, f"platform region {entry.region!r} is served by another region")
    return entry


def wanted(entry: CatalogEntry) -> Wanted:
    """What ``entry`` asks for."""
    return Wanted(entry.database, ReplicationMode(entry.replication.mode))


def server_of(database: Database) -> str:
    """The name of the database's server: host and port."""
    return f"{database.host}:{database.port}"
