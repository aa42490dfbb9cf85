"""Figures of connects: how they end, how long they take, and why connections are given up."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, Histogram

from statemachine.events import (
    ConnectChecked,
    ConnectPaused,
    ConnectProvisioned,
    ConnectStopped,
    ConnectStopping,
    Event,
)
from statemachine.machines import Lifecycle
from statemachine.state import StopReason, TenantState
from streams.metrics.counting import Count
from streams.metrics.tally import Tally

BUCKETS_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Upper bounds of the time from requested to ready, in seconds."""

BEGINNINGS_MAX: Final = 10_000
"""Connects between check and ready whose beginning is remembered; for one more the oldest is forgotten."""

READY: Final = "ready"
"""Outcome of a connect that succeeded; every other outcome is a stop reason."""

REASONS: Final = tuple(reason.value for reason in StopReason)
"""Every stop reason."""

CONNECTING: Final = (Lifecycle.CHECKING, Lifecycle.PROVISIONING)
"""The lifecycle states of a connect that has not ended."""


class _Beginning(NamedTuple):
    """When a connect began.

    Attributes:
        requested_at: when it was requested.
        checked_at: when its check passed: it tells the connect from another one that began elsewhere.
    """

    requested_at: datetime
    checked_at: datetime


class ConnectFigures:
    """Counts and times connects.

    Attributes:
        counts: what counts which event.

    Args:
        registry: where the figures are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._beginnings: dict[str, _Beginning] = {}
        self._connects = Tally(registry, "tenant_connect_connects", "Connects that ended", "outcome", (READY, *REASONS))
        self._failures = Tally(registry, "tenant_connect_connect_failures", "Connects that failed", "code")
        self._stops = Tally(registry, "tenant_connect_stops", "Connections given up", "reason", REASONS)
        self._ready = Histogram(
            "tenant_connect_connect_ready_seconds",
            "Time from requested to ready",
            registry=registry,
            buckets=BUCKETS_S,
        )
        self.counts: dict[type, Count] = {
            ConnectChecked: self._checked,
            ConnectProvisioned: self._provisioned,
            ConnectStopping: self._stopping,
            ConnectStopped: self._stopped,
            ConnectPaused: self._paused,
        }

    def _checked(self, event: Event, _data: ConnectChecked, before: TenantState) -> None:
        if before.since is None:
            return
        if len(self._beginnings) >= BEGINNINGS_MAX:
            del self._beginnings[next(iter(self._beginnings))]
        self._beginnings[event.tenant] = _Beginning(before.since, event.time)

    def _provisioned(self, event: Event, _data: ConnectProvisioned, before: TenantState) -> None:
        self._connects.add(READY)
        beginning = self._beginnings.pop(event.tenant, None)
        if beginning is not None and beginning.checked_at == before.since:
            self._ready.observe((event.time - beginning.requested_at).total_seconds())

    def _stopping(self, event: Event, data: ConnectStopping | ConnectStopped, before: TenantState) -> None:
        self._given_up(event, data.reason, before)
        if before.lifecycle in CONNECTING and data.code is not None:
            self._failures.add(data.code)

    def _stopped(self, event: Event, data: ConnectStopped, before: TenantState) -> None:
        self._stopping(event, data, before)
        if before.lifecycle is not Lifecycle.ABSENT:
            self._stops.add(data.reason.value)

    def _paused(self, event: Event, _data: ConnectPaused, before: TenantState) -> None:
        self._given_up(event, StopReason.PAUSED, before)

    def _given_up(self, event: Event, reason: StopReason, before: TenantState) -> None:
        if before.lifecycle in CONNECTING:
            self._connects.add(reason.value)
            self._beginnings.pop(event.tenant, None)
