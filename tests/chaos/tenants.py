"""Who takes part in a round: tenants with databases, and many that have none."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from typing import Any, Final

from streams.catalog.store import Catalog
from streams.catalog.validation import validate
from streams.devstack.process import free_port
from streams.devstack.tenant_database import Superuser, create_tenant_database
from streams.settings import Settings
from tests.chaos.evidence import Evidence
from tests.chaos.place import Place

AT_ONCE: Final = 4
"""Databases that are made at once."""

SLEEPERS_SHARE: Final = 3
"""One of so many tenants without a database is a sleeper."""

UNLIMITED: Final = {"max_events_per_second": 1_000_000}


@dataclass(frozen=True, slots=True)
class Numbers:
    """How many of each.

    Attributes:
        refused: tenants whose database is not there: connecting them fails, everything else works.
        held: tenants with a database.
        durable: tenants with a database whose rows are streamed.
    """

    refused: int = 300
    held: int = 12
    durable: int = 12


@dataclass(frozen=True, slots=True)
class Cast:
    """The tenants of a round; of those with databases, every second one is left alone by whoever gives commands.

    Attributes:
        refused: tenants without a database.
        held: tenants with one.
        durable: tenants with one whose rows are streamed.
        newcomers: tenants with one who come later; only whoever lets them come asks anything of them.
    """

    refused: tuple[str, ...]
    held: tuple[str, ...]
    durable: tuple[str, ...]
    newcomers: list[str] = field(default_factory=list)

    @property
    def real(self) -> tuple[str, ...]:
        """Tenants with databases."""
        return self.held + self.durable

    @property
    def steady(self) -> tuple[str, ...]:
        """Tenants that nobody asks to stop."""
        return self.held[::2] + self.durable[::2]

    @property
    def sleepers(self) -> tuple[str, ...]:
        """Of those without a database, the ones that are only ever paused until a moment."""
        return self.refused[::SLEEPERS_SHARE]

    @property
    def everybody(self) -> tuple[str, ...]:
        """All tenants."""
        return self.refused + self.real


async def gather(place: Place, settings: Settings, numbers: Numbers, evidence: Evidence) -> Cast:
    """Make the databases, and write everybody into the catalog."""
    token = secrets.token_hex(3)
    cast = Cast(
        tuple(f"r{token}_{number:04}" for number in range(numbers.refused)),
        tuple(f"h{token}_{number:04}" for number in range(numbers.held)),
        tuple(f"d{token}_{number:04}" for number in range(numbers.durable)),
    )
    server = place.server
    superuser = Superuser(server.host, server.port, server.user, server.password)
    places = asyncio.Semaphore(AT_ONCE)

    async def made(name: str) -> dict[str, Any]:
        async with places:
            database = await create_tenant_database(superuser, name)
        evidence.secrets[f"the password of {name}"] = database["password"].encode()
        return {**database, "port": place.database_port}

    databases = dict(zip(cast.real, await _all(made, cast.real), strict=True))
    nowhere = {"host": "127.0.0.1", "port": free_port(), "name": "none", "user": "none", "tls": "disable"}
    entries = [entry_of(name, "off", {**nowhere, "password": secrets.token_urlsafe(18)}) for name in cast.refused]
    entries += [entry_of(name, "durable" if name in cast.durable else "off", databases[name]) for name in cast.real]
    for number, key in settings.encryption_keys.items():
        evidence.secrets[f"the key {number}"] = key.get_secret_value().encode()
    evidence.steady.update(cast.steady)
    await asyncio.to_thread(Catalog(settings).put_all, [validate(entry) for entry in entries])
    return cast


async def _all(made: Any, names: tuple[str, ...]) -> list[dict[str, Any]]:
    if not names:
        return []
    # The first one makes the roles that all of them need.
    return [await made(names[0]), *await asyncio.gather(*map(made, names[1:]))]


def entry_of(name: str, mode: str, database: dict[str, Any]) -> dict[str, Any]:
    """A catalog entry as JSON has it."""
    return {
        "tenant": name,
        "region": "local",
        "database": database,
        "replication": {"mode": mode},
        "limits": UNLIMITED,
    }
