"""Figures that are read off the tenants' states when somebody asks: no series of one tenant, one pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from operator import attrgetter
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from statemachine.machines import STATES, Lifecycle, Occupancy
from statemachine.state import TenantState
from streams.metrics.rebuild import Readiness
from streams.metrics.stream import StreamFigures

NOBODY: Final = -1
"""What stands in the place of the number of connected tenants as long as no partition was assigned."""

_MACHINES: Final = attrgetter(*STATES)

_MEANINGS: Final = {
    "lifecycle": "Tenants by how far their connection is",
    "database": "Tenants by whether their database answers",
    "replication": "Tenants by whether their rows are streamed",
    "occupancy": "Tenants by whether anybody uses them",
}


class _Open:
    """How many tenants something is open for."""

    def __init__(self) -> None:
        self.database_recovery = 0
        self.replication_recovery = 0
        self.limits = 0
        self.paused = 0
        self.without_partitions = 0


class Population(Collector):
    """Counts the tenants of a worker by their states; removes series of tenants that are vacant.

    Args:
        states: the states of all tenants whose partitions are owned.
        readiness: says whether there was an assignment.
        stream: what it has series for is compared with who is used.
    """

    def __init__(
        self, states: Callable[[], Iterable[TenantState]], readiness: Readiness, stream: StreamFigures
    ) -> None:
        self._states = states
        self._readiness = readiness
        self._stream = stream

    def describe(self) -> Iterable[Metric]:
        """The families, without figures."""
        return _families([], _Open(), assigned=False)

    def collect(self) -> Iterable[Metric]:
        """The families."""
        states = list(self._states())
        kept = self._stream.tenants
        self._stream.prune(
            {state.tenant for state in states if state.tenant in kept and state.occupancy is Occupancy.USED}
        )
        return _families(states, _open(states), assigned=self._readiness.partitions() is not None)


def _open(states: Sequence[TenantState]) -> _Open:
    found = _Open()
    for state in states:
        found.database_recovery += state.recovery_until is not None
        found.replication_recovery += state.replication_until is not None
        found.limits += state.retry_at is not None
        found.paused += state.pause is not None
        found.without_partitions += bool(state.partitions_failed)
    return found


def _families(states: Sequence[TenantState], found: _Open, *, assigned: bool) -> Iterator[Metric]:
    # Tenants are counted by all four machines at once, which the interpreter does faster than four loops.
    counted = Counter(map(_MACHINES, states))
    machines: dict[str, Counter[StrEnum]] = {machine: Counter() for machine in STATES}
    for together, number in counted.items():
        for machine, state in zip(STATES, together, strict=True):
            machines[machine][state] += number
    connected = len(states) - machines["lifecycle"][Lifecycle.ABSENT]
    yield GaugeMetricFamily(
        "realtime_tenants_connected", "Tenants that are not absent", value=connected if assigned else NOBODY
    )
    for machine, members in STATES.items():
        family = GaugeMetricFamily(f"tenant_connect_tenants_{machine}", _MEANINGS[machine], labels=["state"])
        for member in members:
            family.add_metric([member.value], machines[machine][member])
        yield family
    windows = GaugeMetricFamily("tenant_connect_windows_open", "Recovery windows that are open", labels=["window"])
    windows.add_metric(["database_recovery"], found.database_recovery)
    windows.add_metric(["replication_recovery"], found.replication_recovery)
    yield windows
    yield GaugeMetricFamily("tenant_connect_connect_limits_open", "Tenants not tried for a while", value=found.limits)
    yield GaugeMetricFamily("tenant_connect_tenants_paused", "Tenants that an operator holds", value=found.paused)
    yield GaugeMetricFamily(
        "tenant_connect_tenants_without_day", "Tenants of which a day has no partition", value=found.without_partitions
    )
