from __future__ import annotations

from datetime import timedelta

from statemachine.events import (
    DatabaseLost,
    DatabaseRestored,
    ReplicationGap,
    ReplicationLost,
    ReplicationPostponed,
    ReplicationStarted,
)
from statemachine.state import ReplicationMode
from streams.metrics.tally import LABEL_VALUES_MAX
from tests.support.scenario import START, given
from tests.unit.metrics.watching import READY, Watch

SOON = START + timedelta(minutes=1)
LATER = START + timedelta(hours=2)
STARTED = ReplicationStarted("slot", ReplicationMode.DURABLE, None, "7", 1, 250, "0/1")


def test_databases_that_are_lost_are_counted_by_code(watch: Watch) -> None:
    lost = DatabaseLost(LATER, "DatabaseConnectionDown", "")
    watch.when(lost, DatabaseRestored(), lost, DatabaseRestored(), DatabaseLost(LATER), to=given(*READY))
    counted = watch.figures("tenant_connect_database_lost_total", "code")
    assert counted == {"DatabaseConnectionDown": 2, "unknown": 1}
    assert watch.figure("tenant_connect_events_total", type="database.restored") == 2


def test_a_database_whose_attempts_fail_otherwise_by_and_by_was_lost_once(watch: Watch) -> None:
    watch.when(DatabaseLost(LATER, "DatabaseConnectionDown", ""), DatabaseLost(LATER, "Refused", ""), to=given(*READY))
    assert watch.figures("tenant_connect_database_lost_total", "code") == {"DatabaseConnectionDown": 1}
    assert watch.figure("tenant_connect_events_total", type="database.lost") == 2


def test_streams_are_counted_as_they_start_break_and_are_put_off(watch: Watch) -> None:
    lost = ReplicationLost("ReplicationConnectionDown", "", SOON, LATER)
    postponed = ReplicationPostponed("ReplicationSlotInUse", "", SOON, LATER)
    watch.when(STARTED, lost, postponed, postponed, STARTED, to=given(*READY))
    assert watch.figures("tenant_connect_replication_started_total", "mode") == {"durable": 2}
    assert watch.figures("tenant_connect_replication_lost_total", "code") == {"ReplicationConnectionDown": 1}
    assert watch.figures("tenant_connect_replication_postponed_total", "code") == {"ReplicationSlotInUse": 2}
    assert watch.figure("tenant_connect_replication_backfilled_rows_total") == 500


def test_gaps_are_counted_by_cause(watch: Watch) -> None:
    gap = ReplicationGap("0/1", None, "timeline_changed", "inserted_at")
    watch.when(STARTED, gap, to=given(*READY))
    assert watch.figures("tenant_connect_replication_gaps_total", "cause") == {"timeline_changed": 1}


def test_codes_beyond_the_bound_share_one_series(watch: Watch) -> None:
    for number in range(LABEL_VALUES_MAX + 10):
        watch.metrics.dropped(f"code-{number}")
    watch.metrics.dropped("code-0")
    counted = watch.figures("tenant_connect_broadcasts_dropped_total", "code")
    assert len(counted) == LABEL_VALUES_MAX + 1
    assert (counted["other"], counted["code-0"]) == (10, 2)
