"""Everything that a worker counts and measures, and the text of it."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import Final, NamedTuple

import prometheus_client
from prometheus_client import CollectorRegistry, Info, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from statemachine.events import Event
from statemachine.state import TenantState
from streams.metrics.assignment import Assignment
from streams.metrics.events import EventFigures
from streams.metrics.population import Population
from streams.metrics.rebuild import Readiness
from streams.metrics.stream import StreamFigures
from streams.metrics.tally import Tally

SNAPSHOT_OUTCOMES: Final = ("written", "loaded", "discarded", "failed")
"""What can become of a snapshot."""


class Exposition(NamedTuple):
    """All figures as text.

    Attributes:
        content_type: which format it is in, as an HTTP header says it.
        body: the text.
    """

    content_type: str
    body: bytes


class Figures(Collector):
    """All figures of one moment. Any thread may write them down, which takes longer than to look at them.

    Args:
        families: the figures, by name.
    """

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        """The figures, by name."""
        return self._families

    def write(self, accept: str = "") -> Exposition:
        """The figures as text.

        Args:
            accept: the formats that the reader takes, as an HTTP header says it; OpenMetrics is written where it is
                asked for (https://prometheus.io/docs/specs/om/open_metrics_spec/).
        """
        encode, content_type = choose_encoder(accept)
        return Exposition(content_type, encode(self))


class Metrics:
    """The figures of one worker. But for `broadcast` and `dropped`, its methods are the event loop's.

    Attributes:
        registry: every figure is registered there and nowhere else.

    Args:
        region: serving region of the worker.
        worker: its name.
        states: the states of all tenants whose partitions it owns; called when somebody asks for the figures.
        readiness: how far it is.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        *,
        region: str,
        worker: str,
        states: Callable[[], Iterable[TenantState]],
        readiness: Readiness,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # A gauge of its birth beside every counter would double the text, and nobody asks for it.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's, without types
        self.registry = CollectorRegistry()
        build = Info("tenant_connect_build", "The worker that is asked", registry=self.registry)
        build.info(
            {
                "version": version("tenant-connect"),
                "python": platform.python_version(),
                "region": region,
                "worker": worker,
            }
        )
        self._events = EventFigures(self.registry)
        self._stream = StreamFigures(clock)
        self._dropped = Tally(
            self.registry, "tenant_connect_broadcasts_dropped", "Rows that could not be broadcast", "code"
        )
        self._snapshots = Tally(
            self.registry, "tenant_connect_snapshots", "What became of snapshots", "outcome", SNAPSHOT_OUTCOMES
        )
        self.registry.register(Population(states, readiness, self._stream))
        self.registry.register(self._stream)
        self.registry.register(Assignment(readiness))
        ProcessCollector(registry=self.registry)

    def observed(self, event: Event, before: TenantState) -> None:
        """An owner appended ``event`` to a tenant whose state was ``before``."""
        self._events.observed(event, before)

    def broadcast(
        self, tenant: str, committed_latency_ms: float, inserted_latency_ms: float, payload_bytes: int
    ) -> None:
        """A row was broadcast: Kafka has acknowledged it. Any thread may say so.

        Args:
            tenant: whose row.
            committed_latency_ms: milliseconds since its transaction was committed.
            inserted_latency_ms: milliseconds since it was inserted, by its own ``inserted_at``.
            payload_bytes: size of its payload.
        """
        self._stream.broadcast(tenant, committed_latency_ms, inserted_latency_ms, payload_bytes)

    def dropped(self, code: str) -> None:
        """A row was dropped because of what ``code`` says. Any thread may say so."""
        self._dropped.add(code)

    def snapshot(self, outcome: str) -> None:
        """A snapshot of a partition was written, loaded or discarded, or the disk failed."""
        self._snapshots.add(outcome)

    def look(self) -> Figures:
        """All figures as they are now."""
        return Figures(self.registry.collect())
