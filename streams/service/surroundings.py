"""What the owners of a worker are told of the catalog and of users."""

from __future__ import annotations

import structlog

from statemachine.state import StopReason
from statemachine.terms import Terms
from streams.catalog.crypto import Cipher
from streams.catalog.entry import CatalogEntry
from streams.catalog.record import decode
from streams.catalog.view import CatalogView, region_of
from streams.errors import CatalogUnreadable
from streams.service.limits import terms_of
from streams.settings import Settings
from streams.users import Users
from streams.worker.places import place_of

log = structlog.get_logger(__name__)


class TenantSurroundings:
    """The catalog and the users as decisions and effects ask for them.

    Args:
        settings: regions, windows and keys are read.
        catalog: the tenants' entries.
        users: who uses them.
    """

    def __init__(self, settings: Settings, catalog: CatalogView, users: Users) -> None:
        self._settings = settings
        self._catalog = catalog
        self._users = users
        self._cipher = Cipher(settings.encryption_keys)
        self._common = terms_of(settings)

    def terms(self, tenant: str | None) -> Terms:
        """What is to be known for a decision on a tenant, or on none in particular."""
        if tenant is None:
            return self._common
        known = self._users.known(place_of(tenant, self._settings.partitions))
        users = self._users.count(tenant) if known else None
        return self._common._replace(platform_region=region_of(self._catalog, tenant), users=users)

    def unwanted(self, tenant: str) -> StopReason | None:
        """Why the catalog does not want a tenant connected in this region, None where it does."""
        try:
            found = self._catalog.summary(tenant)
        except CatalogUnreadable as error:
            log.warning("catalog.unreadable", tenant=tenant, code=error.code)
            return None
        if found is None:
            return StopReason.REMOVED
        if found.suspended:
            return StopReason.SUSPENDED
        return None if self.serves(found.region) else StopReason.REBALANCING

    def serves(self, platform_region: str) -> bool:
        """Whether tenants of a platform region may be connected here: nobody else serves it."""
        return self._settings.serving_region(platform_region) in {None, self._settings.region}

    def used(self, tenant: str) -> bool:
        """Whether somebody uses a tenant."""
        return self._users.count(tenant) > 0

    async def load(self, tenant: str) -> CatalogEntry | None:
        """The tenant's catalog entry as of now, None for no such tenant.

        Raises:
            CatalogUnreadable: its record is none, or another tenant's.
            CredentialsUnreadable: no key opens its credentials.
            KafkaUnreachable: the catalog cannot be asked.
        """
        value = await self._catalog.record(tenant)
        if value is None:
            return None
        entry = decode(value, self._cipher)
        if entry.tenant != tenant:
            raise CatalogUnreadable(f"the record under the key {tenant!r} is tenant {entry.tenant!r}'s")
        return entry
