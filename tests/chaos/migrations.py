"""What migrations left, of tenants whose worker died meanwhile, beside one that was migrated in peace."""

from __future__ import annotations

from collections.abc import Iterator

from tests.chaos.evidence import Evidence, Finding, Migrated
from tests.chaos.fold import Log

PEACEFUL = "m_peaceful"


def check_migrations(evidence: Evidence, log: Log) -> Iterator[Finding]:
    """Each migration took effect once, its lock is free, and what is told of their number is right."""
    model = next((found for tenant, found in evidence.migrated.items() if tenant.startswith(PEACEFUL)), None)
    for tenant, found in evidence.migrated.items():
        yield from _wrong(tenant, found, model or found)
        told = _told(log, tenant)
        if told != len(found.versions):
            yield Finding("migrations", tenant, f"{told} are told of, {len(found.versions)} are recorded")
    for tenant, interrupted in evidence.interrupted.items():
        if not interrupted:
            yield Finding("migrations", tenant, "the migration was over before its worker was killed")


def _wrong(tenant: str, found: Migrated, model: Migrated) -> Iterator[Finding]:
    if not found.free:
        yield Finding("migrations", tenant, "their lock is held after they have ended")
    if found.versions != model.versions:
        yield Finding("migrations", tenant, f"{found.versions} are recorded, and should be {model.versions}")
    if found.made != model.made:
        other = sorted({*found.made} ^ {*model.made}) or "the same things, in another number of commands"
        yield Finding("migrations", tenant, f"they made something else: {other}")


def _told(log: Log, tenant: str) -> int:
    """How many there are after the last connect, by the tenant's events."""
    checked, run = 0, 0
    for event in log.of[tenant]:
        if event.type == "connect.checked":
            checked, run = event.data["migrations_on_database"], 0
        elif event.type == "connect.provisioned":
            run = event.data["migrations_run"]
    return checked + run
