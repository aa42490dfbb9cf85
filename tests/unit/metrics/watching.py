"""Metrics whose states and readiness a test sets, fed with what happens in scenarios."""

from __future__ import annotations

from collections.abc import Sequence

from statemachine.events import (
    ConnectChecked,
    ConnectProvisioned,
    ConnectRequested,
    ConnectStopped,
    ConnectStopping,
    TenantEventData,
)
from statemachine.state import ReplicationMode, StopReason, TenantState
from streams.metrics.metrics import Metrics
from streams.metrics.rebuild import PartitionProgress
from tests.support.scenario import Scenario, following, given

REQUESTED = ConnectRequested("us-east-1", "local")
CHECKED = ConnectChecked(50, 8, 81, 12, ReplicationMode.DURABLE)
PROVISIONED = ConnectProvisioned(0, ("2030-01-01",), 40)
READY = (REQUESTED, CHECKED, PROVISIONED)
STOPPED = (ConnectStopping(StopReason.REQUESTED), ConnectStopped(StopReason.REQUESTED))


class Watch:
    """A worker's metrics and what they are told.

    Attributes:
        states: of the tenants whose partitions are owned.
        partitions: what the group has assigned.
        seconds: what the clock shows.
        metrics: the metrics.
    """

    def __init__(self) -> None:
        self.states: list[TenantState] = []
        self.assigned: Sequence[PartitionProgress] | None = ()
        self.seconds = 1000.0
        self.metrics = Metrics(
            region="local", worker="w1", states=lambda: self.states, readiness=self, clock=lambda: self.seconds
        )

    def partitions(self) -> Sequence[PartitionProgress] | None:
        return self.assigned

    def when(self, *payloads: TenantEventData, to: Scenario | None = None) -> Scenario:
        """These happen to a tenant, by default to one to which nothing happened, and are counted."""
        scenario = given() if to is None else to
        for payload in payloads:
            self.metrics.observed(following(scenario.state, payload, at=scenario.now), scenario.state)
            scenario = scenario.given(payload)
        return scenario

    def figure(self, name: str, **labels: str) -> float | None:
        """A sample as it is shown now, None where there is none."""
        for family in self.metrics.look().collect():
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return sample.value
        return None

    def figures(self, name: str, label: str) -> dict[str, float]:
        """The samples of a name that are not 0, by one label."""
        samples = (sample for family in self.metrics.look().collect() for sample in family.samples)
        return {sample.labels[label]: sample.value for sample in samples if sample.name == name and sample.value}
