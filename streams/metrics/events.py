"""Figures that are counted as events happen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from statemachine.events import (
    EVENT_TYPES,
    Claimed,
    DatabaseLost,
    Event,
    ReplicationGap,
    ReplicationLost,
    ReplicationPostponed,
    ReplicationStarted,
)
from statemachine.machines import DatabaseHealth
from statemachine.state import ReplicationMode, TenantState
from streams.metrics.connects import ConnectFigures
from streams.metrics.counting import Count
from streams.metrics.migrations import MigrationFigures
from streams.metrics.tally import Tally

TYPES: Final = tuple(name for name in EVENT_TYPES if name != Claimed.type)
"""The types of tenants' events."""

MODES: Final = tuple(mode.value for mode in ReplicationMode if mode is not ReplicationMode.OFF)
"""The modes in which rows are streamed."""


class EventFigures:
    """Counts the events that a worker's owners append. Those that recovery reads were counted when they happened.

    Args:
        registry: where the figures are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._types = TypeFigures()
        registry.register(self._types)
        self._counts: dict[type, list[Count]] = {}
        for figures in (ConnectFigures(registry), MigrationFigures(registry), BreakageFigures(registry)):
            for data, count in figures.counts.items():
                self._counts.setdefault(data, []).append(count)

    def observed(self, event: Event, before: TenantState) -> None:
        """An owner appended ``event`` to a tenant that was as ``before``."""
        self._types.counted[event.data.type] += 1
        for count in self._counts.get(type(event.data), ()):
            count(event, event.data, before)


class TypeFigures(Collector):
    """Counts events by their type. This is the one figure of every event, so it is a number and no object.

    Attributes:
        counted: events so far, by type.
    """

    def __init__(self) -> None:
        self.counted = dict.fromkeys(TYPES, 0)

    def collect(self) -> Iterator[Metric]:
        """The family."""
        family = CounterMetricFamily("tenant_connect_events", "Events appended", labels=["type"])
        for name, counted in self.counted.items():
            family.add_metric([name], counted)
        yield family


class BreakageFigures:
    """Databases that are lost, and streams that start, break, are put off or miss rows.

    Attributes:
        counts: what counts which event.

    Args:
        registry: where the figures are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        def tally(name: str, meaning: str, label: str) -> Tally:
            return Tally(registry, name, meaning, label)

        self._database_lost = tally("tenant_connect_database_lost", "Databases lost while ready", "code")
        self._started = Tally(registry, "tenant_connect_replication_started", "Streams started", "mode", MODES)
        self._backfilled = Counter(
            "tenant_connect_replication_backfilled_rows", "Rows read from tables before streams", registry=registry
        )
        self._lost = tally("tenant_connect_replication_lost", "Streams that broke", "code")
        self._postponed = tally("tenant_connect_replication_postponed", "Attempts to stream that failed", "code")
        self._gaps = tally("tenant_connect_replication_gaps", "Losses that cannot be excluded", "cause")
        self.counts: dict[type, Count] = {
            DatabaseLost: self._database_was_lost,
            ReplicationStarted: self._stream_started,
            ReplicationLost: self._stream_lost,
            ReplicationPostponed: self._stream_postponed,
            ReplicationGap: self._gap_found,
        }

    def _database_was_lost(self, _event: Event, data: DatabaseLost, before: TenantState) -> None:
        if before.database is DatabaseHealth.UP:
            self._database_lost.add(data.code)

    def _stream_started(self, _event: Event, data: ReplicationStarted, _before: TenantState) -> None:
        self._started.add(data.mode.value)
        self._backfilled.inc(data.backfilled)

    def _stream_lost(self, _event: Event, data: ReplicationLost, _before: TenantState) -> None:
        self._lost.add(data.code)

    def _stream_postponed(self, _event: Event, data: ReplicationPostponed, _before: TenantState) -> None:
        self._postponed.add(data.code)

    def _gap_found(self, _event: Event, data: ReplicationGap, _before: TenantState) -> None:
        self._gaps.add(data.cause)
