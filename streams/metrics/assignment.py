"""Figures of a worker's partitions: served, or being rebuilt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from streams.metrics.rebuild import PartitionProgress, Readiness, is_ready


class Assignment(Collector):
    """Shows how far the partitions of a worker are.

    Args:
        readiness: says so.
    """

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness

    def describe(self) -> Iterable[Metric]:
        """The families, without figures."""
        return _families(None)

    def collect(self) -> Iterable[Metric]:
        """The families."""
        return _families(self._readiness.partitions())


def _families(partitions: Sequence[PartitionProgress] | None) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "tenant_connect_ready", "1 where every partition is served, else 0", value=int(is_ready(partitions))
    )
    assigned = partitions or ()
    served = sum(each.served for each in assigned)
    family = GaugeMetricFamily("tenant_connect_partitions", "Partitions assigned to the worker", labels=["state"])
    family.add_metric(["served"], served)
    family.add_metric(["rebuilding"], len(assigned) - served)
    yield family
    yield GaugeMetricFamily(
        "tenant_connect_rebuild_events_left",
        "Events to fold before all is served",
        value=sum(each.left or 0 for each in assigned),
    )
    yield GaugeMetricFamily(
        "tenant_connect_rebuild_events_per_second",
        "Events folded a second while rebuilding",
        value=sum(each.rate or 0 for each in assigned),
    )
