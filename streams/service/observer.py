"""What is counted of a tenant's rows."""

from __future__ import annotations

from streams.metrics.metrics import Metrics


class RowObserver:
    """Counts the rows of one tenant.

    Args:
        tenant: whose.
        metrics: the worker's.
    """

    __slots__ = ("_metrics", "_tenant")

    def __init__(self, tenant: str, metrics: Metrics) -> None:
        self._tenant = tenant
        self._metrics = metrics

    def delivered(self, committed_latency_ms: float, inserted_latency_ms: float, payload_bytes: int) -> None:
        """A streamed row was acknowledged by Kafka."""
        self._metrics.broadcast(self._tenant, committed_latency_ms, inserted_latency_ms, payload_bytes)

    def dropped(self, code: str) -> None:
        """A row could not be broadcast; the stream writes it down, as far as that does not fill the log."""
        self._metrics.dropped(code)
