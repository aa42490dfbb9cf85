"""Figures of the rows that are streamed: one sum of each worker, and one of each tenant while there is room.

A row is counted into its tenant's figures alone, so that it costs one look-up and three places; everything
else is derived when somebody asks.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from streams.metrics.rows import LATENCY_BUCKETS_MS, PAYLOAD_BUCKETS, THE_REST, RowFigures, of_tenants, totals

TENANT_SERIES_MAX: Final = 100
"""Tenants that have series of their own; the rows of all others are counted together, under an empty tenant."""

VACANT_S_MAX: Final = 600.0
"""Seconds without users and rows after which a tenant's series are removed."""


class _Vacancy:
    """Since when a tenant has neither users nor rows."""

    __slots__ = ("rows", "since")

    def __init__(self) -> None:
        self.rows = 0
        self.since: float | None = None

    def is_over(self, rows: int, now: float, *, used: bool) -> bool:
        """Look at the tenant; whether it was vacant for too long."""
        if used or rows != self.rows:
            self.rows, self.since = rows, None
        elif self.since is None:
            self.since = now
        return self.since is not None and now - self.since > VACANT_S_MAX


class StreamFigures(Collector):
    """Counts rows, and shows what was counted.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tenants: dict[str, RowFigures] = {}
        self._rest = RowFigures()
        self._removed = RowFigures()
        self._vacancies: dict[str, _Vacancy] = {}

    @property
    def tenants(self) -> Collection[str]:
        """The tenants that have series of their own."""
        return self._tenants.keys()

    def broadcast(
        self, tenant: str, committed_latency_ms: float, inserted_latency_ms: float, payload_bytes: int
    ) -> None:
        """Count a row; latencies below zero, of clocks that differ, count as zero. Any thread may call."""
        committed_ms = max(0, committed_latency_ms)
        inserted_ms = max(0, inserted_latency_ms)
        with self._lock:
            figures = self._tenants.get(tenant) or self._figures(tenant)
            figures.committed[bisect_left(LATENCY_BUCKETS_MS, committed_ms)] += 1
            figures.inserted[bisect_left(LATENCY_BUCKETS_MS, inserted_ms)] += 1
            figures.payload[bisect_left(PAYLOAD_BUCKETS, payload_bytes)] += 1
            figures.committed_ms += committed_ms
            figures.inserted_ms += inserted_ms
            figures.payload_bytes += payload_bytes

    def prune(self, used: Collection[str]) -> None:
        """Remove the series of tenants that had neither users nor rows for too long.

        Args:
            used: those of `tenants` that have users.
        """
        now = self._clock()
        with self._lock:
            for tenant, figures in list(self._tenants.items()):
                if self._vacancies[tenant].is_over(figures.rows, now, used=tenant in used):
                    self._removed.add(self._tenants.pop(tenant))
                    del self._vacancies[tenant]

    def describe(self) -> Iterable[Metric]:
        """The families, without figures."""
        return [*totals(RowFigures()), *of_tenants([])]

    def collect(self) -> Iterator[Metric]:
        """The families."""
        with self._lock:
            total = RowFigures()
            for figures in (self._removed, self._rest, *self._tenants.values()):
                total.add(figures)
            tenants = [(tenant, figures.copy()) for tenant, figures in self._tenants.items()]
            rest = self._rest.copy()
        yield from totals(total)
        yield from of_tenants([*tenants, (THE_REST, rest)] if rest.rows else tenants)

    def _figures(self, tenant: str) -> RowFigures:
        if len(self._tenants) >= TENANT_SERIES_MAX:
            return self._rest
        self._vacancies[tenant] = _Vacancy()
        figures = self._tenants[tenant] = RowFigures()
        return figures
