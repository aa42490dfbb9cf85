"""The rows of a tenant, or of many, by latency and size; and the families in which they are shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

LATENCY_BUCKETS_MS: Final = (1, 2, 5, 10, 20, 40, 80, 160, 250, 500, 1_000, 5_000, 60_000, 600_000)
"""Upper bounds of a worker's latencies, in milliseconds. A row that was written during an outage is minutes old."""

TENANT_LATENCY_BUCKETS_MS: Final = (10, 250, 5_000)
"""Upper bounds of a tenant's latencies, in milliseconds, some of those above: those of existing dashboards."""

PAYLOAD_BUCKETS: Final = (250, 1_000, 5_000, 25_000, 100_000, 500_000, 3_000_000)
"""Upper bounds of a payload, in bytes."""

THE_REST: Final = ""
"""Tenant of the rows of tenants without series: no tenant is named so."""

MESSAGE_TYPE: Final = "broadcast"
"""What rows of a database become."""


class RowFigures:
    """What is known of the rows of a tenant.

    Attributes:
        committed: rows by latency since their commit, a place for each of `LATENCY_BUCKETS_MS` and one above.
        inserted: the same by latency since their insertion.
        payload: rows by size, a place for each of `PAYLOAD_BUCKETS` and one above.
        committed_ms: sum of the latencies.
        inserted_ms: sum of the latencies.
        payload_bytes: sum of the sizes.
    """

    __slots__ = ("committed", "committed_ms", "inserted", "inserted_ms", "payload", "payload_bytes")

    def __init__(self) -> None:
        self.committed = [0] * (len(LATENCY_BUCKETS_MS) + 1)
        self.inserted = [0] * (len(LATENCY_BUCKETS_MS) + 1)
        self.payload = [0] * (len(PAYLOAD_BUCKETS) + 1)
        self.committed_ms = 0.0
        self.inserted_ms = 0.0
        self.payload_bytes = 0

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(self.payload)

    def copy(self) -> RowFigures:
        """The same figures, which no row is added to."""
        copied = RowFigures()
        copied.add(self)
        return copied

    def add(self, other: RowFigures) -> None:
        """Count the rows of ``other`` too."""
        for own, others in (
            (self.committed, other.committed),
            (self.inserted, other.inserted),
            (self.payload, other.payload),
        ):
            own[:] = map(int.__add__, own, others)
        self.committed_ms += other.committed_ms
        self.inserted_ms += other.inserted_ms
        self.payload_bytes += other.payload_bytes


def totals(total: RowFigures) -> Iterator[Metric]:
    """A worker's own families, in seconds."""
    yield CounterMetricFamily("tenant_connect_broadcasts", "Rows broadcast", value=total.rows)
    yield CounterMetricFamily(
        "tenant_connect_broadcast_payload_bytes", "Bytes of their payloads", value=total.payload_bytes
    )
    buckets = _cumulative([bound / 1000 for bound in LATENCY_BUCKETS_MS], total.committed)
    yield HistogramMetricFamily(
        "tenant_connect_broadcast_committed_latency_seconds",
        "Time from a row's commit to its broadcast",
        buckets=buckets,
        sum_value=total.committed_ms / 1000,
    )
    buckets = _cumulative([bound / 1000 for bound in LATENCY_BUCKETS_MS], total.inserted)
    yield HistogramMetricFamily(
        "tenant_connect_broadcast_inserted_latency_seconds",
        "Time from a row's insertion to its broadcast",
        buckets=buckets,
        sum_value=total.inserted_ms / 1000,
    )


def of_tenants(tenants: Sequence[tuple[str, RowFigures]]) -> Iterator[Metric]:
    """The families that dashboards of the realtime platform know, in milliseconds."""
    own = sum(1 for tenant, _ in tenants if tenant != THE_REST)
    yield GaugeMetricFamily("tenant_connect_tenant_series", "Tenants with series of their own", value=own)
    committed = HistogramMetricFamily(
        "realtime_tenants_broadcast_from_database_latency_committed_at",
        "Milliseconds from a row's commit to its broadcast",
        labels=["tenant"],
    )
    inserted = HistogramMetricFamily(
        "realtime_tenants_broadcast_from_database_latency_inserted_at",
        "Milliseconds from a row's insertion to its broadcast",
        labels=["tenant"],
    )
    payload = HistogramMetricFamily(
        "realtime_tenants_payload_size", "Bytes of a row's payload", labels=["tenant", "message_type"]
    )
    for tenant, figures in tenants:
        committed.add_metric([tenant], _coarse(figures.committed), figures.committed_ms)
        inserted.add_metric([tenant], _coarse(figures.inserted), figures.inserted_ms)
        payload.add_metric([tenant, MESSAGE_TYPE], _cumulative(PAYLOAD_BUCKETS, figures.payload), figures.payload_bytes)
    yield from (committed, inserted, payload)


def _cumulative(bounds: Sequence[float], counts: Sequence[int]) -> list[tuple[str, float]]:
    """A histogram's buckets as they are shown: each counts what is at most its bound."""
    shown = [str(float(bound)) for bound in bounds]
    return list(zip([*shown, "+Inf"], accumulate(counts), strict=True))


def _coarse(counts: Sequence[int]) -> list[tuple[str, float]]:
    """A tenant's few buckets, out of the many that were counted."""
    fine = _cumulative(LATENCY_BUCKETS_MS, counts)
    return [fine[LATENCY_BUCKETS_MS.index(bound)] for bound in TENANT_LATENCY_BUCKETS_MS] + fine[-1:]
