from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from prometheus_client.core import Metric

from statemachine.events import (
    ConnectProvisioned,
    ConnectStopped,
    DatabaseLost,
    ReplicationGap,
    ReplicationLost,
    ReplicationPostponed,
)
from statemachine.state import StopReason
from streams.metrics.stream import TENANT_SERIES_MAX, VACANT_S_MAX
from streams.metrics.tally import LABEL_VALUES_MAX
from tests.support.scenario import START, given
from tests.unit.metrics.test_breakages import STARTED
from tests.unit.metrics.watching import CHECKED, READY, REQUESTED, Watch

PAGE = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text(encoding="utf-8")
NAME = re.compile(r"\b(?:realtime|tenant_connect|process)_[a-z0-9_]*[a-z0-9]")
SUFFIXES = {"counter": ("_total",), "info": ("_info",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
ELSEWHERE = {
    "realtime_connections_connected",
    "realtime_connections_connected_cluster",
    "realtime_tenants_migrations_reconcile_exceptions_total",
}
"""Names that the page says are not here."""


class Row(NamedTuple):
    """A metric as the page has it, or as it is shown."""

    name: str
    kind: str
    labels: frozenset[str]


def documented() -> Iterator[Row]:
    table = PAGE.split("## Every metric")[1].split("\n## ")[0]
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `"):
            yield Row(cells[0].strip("`"), cells[1], frozenset(re.findall(r"`(\w+)`", cells[2])))


def shown(family: Metric) -> Row:
    labels = {label for sample in family.samples for label in sample.labels} - {"le"}
    suffix = SUFFIXES[family.type][0] if family.type in ("counter", "info") else ""
    return Row(family.name + suffix, family.type, frozenset(labels))


@pytest.fixture
def busy(watch: Watch) -> Watch:
    """A worker to which everything happened that is counted."""
    until = START + timedelta(hours=1)
    watch.when(*READY, STARTED, DatabaseLost(until, "DatabaseConnectionDown"))
    watch.when(REQUESTED, CHECKED, ConnectProvisioned(1, (), 5))
    watch.when(REQUESTED, CHECKED, ConnectStopped(StopReason.MIGRATIONS_FAILED, "MigrationsFailedToRun"))
    watch.when(
        ReplicationPostponed("ReplicationSlotInUse", "", until, until),
        STARTED,
        ReplicationLost("ReplicationConnectionDown", "", until, until),
        ReplicationGap(None, None, "slot_lost"),
        to=given(*READY),
    )
    watch.metrics.broadcast("t1", 1, 1, 1)
    watch.metrics.dropped("payload_missing")
    return watch


def test_the_page_has_every_metric_with_its_type_and_labels_and_no_other(busy: Watch) -> None:
    assert sorted(documented()) == sorted(map(shown, busy.metrics.look().collect()))


def test_a_worker_to_which_nothing_happened_shows_the_same_metrics(busy: Watch) -> None:
    assert [family.name for family in Watch().metrics.look().collect()] == [
        family.name for family in busy.metrics.look().collect()
    ]


def test_every_name_that_the_page_speaks_of_is_shown(busy: Watch) -> None:
    families = list(busy.metrics.look().collect())
    known = {family.name + suffix for family in families for suffix in ("", *SUFFIXES[family.type])}
    assert set(NAME.findall(PAGE)) - known == ELSEWHERE


def test_the_page_names_the_bounds_that_hold() -> None:
    said = " ".join(PAGE.split())
    assert f"for the {TENANT_SERIES_MAX} tenants" in said
    assert f"own; {TENANT_SERIES_MAX} at most" in said
    assert f"{VACANT_S_MAX:.0f} seconds loses its series" in said
    assert f"shows {LABEL_VALUES_MAX} values at most" in said


def test_every_metric_says_what_it_is(busy: Watch) -> None:
    assert all(family.documentation for family in busy.metrics.look().collect())
