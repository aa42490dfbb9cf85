"""Figures of migrations, under the names that dashboards of the realtime platform know."""

from __future__ import annotations

import re
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from statemachine.events import (
    ConnectChecked,
    ConnectProvisioned,
    ConnectStopped,
    ConnectStopping,
    Event,
    MigrationsFinished,
)
from statemachine.machines import Lifecycle
from statemachine.state import StopReason, TenantState
from streams.metrics.counting import Count
from streams.metrics.tally import Tally, Values

BUCKETS_MS: Final = (100, 250, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 45_000, 60_000, 90_000, 120_000)
"""Upper bounds of durations, in milliseconds."""

OTHER_ERROR: Final = "other"
"""Error code of migrations that failed without an answer of the server."""

SQLSTATE: Final = re.compile(r"\bSQLSTATE ([0-9A-Z]{5})\b")
"""Where a stop's message names the server's error (https://www.postgresql.org/docs/current/errcodes-appendix.html)."""


class MigrationFigures:
    """Counts and times migrations of tenants' databases.

    Attributes:
        counts: what counts which event.

    Args:
        registry: where the figures are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._platform_regions = Values()
        self._duration = Histogram(
            "realtime_tenants_migrations_duration_milliseconds",
            "Duration of migrations, where there were any to run",
            ["platform_region"],
            registry=registry,
            buckets=BUCKETS_MS,
        )
        self._exceptions = Tally(
            registry, "realtime_tenants_migrations_exceptions", "Migrations that failed", "error_code", (OTHER_ERROR,)
        )
        self._reconciles = Counter(
            "realtime_tenants_migrations_reconcile",
            "Databases found with another count of migrations",
            registry=registry,
        )
        self.counts: dict[type, Count] = {
            ConnectChecked: self._checked,
            ConnectProvisioned: self._finished,
            MigrationsFinished: self._finished,
            ConnectStopping: self._stopped,
            ConnectStopped: self._stopped,
        }

    def _checked(self, _event: Event, data: ConnectChecked, before: TenantState) -> None:
        if before.migrations is not None and before.migrations != data.migrations_on_database:
            self._reconciles.inc()

    def _finished(self, _event: Event, data: ConnectProvisioned | MigrationsFinished, before: TenantState) -> None:
        if data.migrations_run > 0:
            region = self._platform_regions.shown(before.platform_region)
            self._duration.labels(region).observe(data.took_ms)

    def _stopped(self, _event: Event, data: ConnectStopping | ConnectStopped, before: TenantState) -> None:
        if data.reason is StopReason.MIGRATIONS_FAILED and before.lifecycle is Lifecycle.PROVISIONING:
            found = SQLSTATE.search(data.message)
            self._exceptions.add(found[1] if found else OTHER_ERROR)
