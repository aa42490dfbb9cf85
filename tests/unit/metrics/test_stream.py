from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from statemachine.events import OccupancyUsed
from streams.metrics.rows import LATENCY_BUCKETS_MS, TENANT_LATENCY_BUCKETS_MS, THE_REST
from streams.metrics.stream import TENANT_SERIES_MAX, VACANT_S_MAX
from tests.support.scenario import given
from tests.unit.metrics.watching import READY, Watch

COMMITTED = "realtime_tenants_broadcast_from_database_latency_committed_at"
INSERTED = "realtime_tenants_broadcast_from_database_latency_inserted_at"
PAYLOAD = "realtime_tenants_payload_size"
OWN = "tenant_connect_broadcast_committed_latency_seconds"


def test_a_row_is_in_the_figures_of_its_tenant_and_of_the_worker(watch: Watch) -> None:
    watch.metrics.broadcast("t1", 12.5, 260, 200)
    assert watch.figure(f"{COMMITTED}_bucket", tenant="t1", le="10.0") == 0
    assert watch.figure(f"{COMMITTED}_bucket", tenant="t1", le="250.0") == 1
    assert watch.figure(f"{COMMITTED}_sum", tenant="t1") == 12.5
    assert watch.figure(f"{INSERTED}_bucket", tenant="t1", le="250.0") == 0
    assert watch.figure(f"{INSERTED}_bucket", tenant="t1", le="5000.0") == 1
    assert watch.figure(f"{PAYLOAD}_sum", tenant="t1", message_type="broadcast") == 200
    assert watch.figure(f"{OWN}_bucket", le="0.01") == 0
    assert watch.figure(f"{OWN}_bucket", le="0.02") == 1
    assert watch.figure(f"{OWN}_sum") == 0.0125
    assert watch.figure("tenant_connect_broadcasts_total") == 1
    assert watch.figure("tenant_connect_broadcast_payload_bytes_total") == 200


def test_a_latency_on_a_bound_is_at_most_that_bound(watch: Watch) -> None:
    for bound in TENANT_LATENCY_BUCKETS_MS:
        watch.metrics.broadcast("t1", bound, bound, 1)
        watch.metrics.broadcast("t1", bound + 0.1, bound + 0.1, 1)
    shown = [watch.figure(f"{COMMITTED}_bucket", tenant="t1", le=str(float(le))) for le in TENANT_LATENCY_BUCKETS_MS]
    assert shown == [1, 3, 5]
    assert watch.figure(f"{COMMITTED}_bucket", tenant="t1", le="+Inf") == 6


def test_every_bound_of_a_tenant_is_one_of_the_worker() -> None:
    assert set(TENANT_LATENCY_BUCKETS_MS) <= set(LATENCY_BUCKETS_MS)


def test_clocks_that_differ_make_no_latency_below_zero(watch: Watch) -> None:
    watch.metrics.broadcast("t1", -40, -3, 1)
    assert watch.figure(f"{COMMITTED}_sum", tenant="t1") == 0
    assert watch.figure(f"{COMMITTED}_bucket", tenant="t1", le="10.0") == 1


def test_tenants_beyond_the_bound_share_one_series_and_the_sums_stay_right(watch: Watch) -> None:
    for number in range(TENANT_SERIES_MAX + 7):
        watch.metrics.broadcast(f"t{number}", 1, 1, 10)
    assert watch.figure("tenant_connect_tenant_series") == TENANT_SERIES_MAX
    counted = watch.figures(f"{COMMITTED}_count", "tenant")
    assert len(counted) == TENANT_SERIES_MAX + 1
    assert counted[THE_REST] == 7
    assert sum(counted.values()) == watch.figure("tenant_connect_broadcasts_total") == TENANT_SERIES_MAX + 7


def test_a_tenant_without_users_and_rows_loses_its_series_and_the_worker_keeps_its_counts(watch: Watch) -> None:
    watch.metrics.broadcast("t1", 12.5, 260, 200)
    assert watch.figures(f"{COMMITTED}_count", "tenant") == {"t1": 1}
    assert watch.figures(f"{COMMITTED}_count", "tenant") == {"t1": 1}
    watch.seconds += VACANT_S_MAX + 1
    assert watch.figures(f"{COMMITTED}_count", "tenant") == {}
    assert watch.figures(f"{PAYLOAD}_count", "tenant") == {}
    assert watch.figure("tenant_connect_tenant_series") == 0
    assert watch.figure("tenant_connect_broadcasts_total") == 1
    assert watch.figure(f"{OWN}_sum") == 0.0125


def test_a_tenant_with_users_keeps_its_series_without_rows(watch: Watch) -> None:
    watch.states = [given(*READY, OccupancyUsed(1)).state]
    watch.metrics.broadcast("t1", 1, 1, 1)
    for _ in range(4):
        assert watch.figures(f"{COMMITTED}_count", "tenant") == {"t1": 1}
        watch.seconds += VACANT_S_MAX + 1


def test_a_tenant_with_rows_keeps_its_series_without_users(watch: Watch) -> None:
    for rows in range(1, 5):
        watch.metrics.broadcast("t1", 1, 1, 1)
        assert watch.figures(f"{COMMITTED}_count", "tenant") == {"t1": rows}
        assert watch.figures(f"{COMMITTED}_count", "tenant") == {"t1": rows}
        watch.seconds += VACANT_S_MAX - 1


def test_users_who_come_back_cancel_the_removal(watch: Watch) -> None:
    unused, used = given(*READY), given(*READY, OccupancyUsed(1))
    watch.metrics.broadcast("t1", 1, 1, 1)
    for scenario in (unused, unused, used, unused):
        watch.states = [scenario.state]
        assert watch.figures(f"{COMMITTED}_count", "tenant") == {"t1": 1}
        watch.seconds += VACANT_S_MAX - 1


def test_a_removed_tenant_makes_room_for_another(watch: Watch) -> None:
    for number in range(TENANT_SERIES_MAX + 1):
        watch.metrics.broadcast(f"t{number}", 1, 1, 10)
    late = f"t{TENANT_SERIES_MAX}"
    assert late not in watch.figures(f"{COMMITTED}_count", "tenant")
    watch.metrics.look()
    watch.seconds += VACANT_S_MAX + 1
    watch.metrics.look()
    watch.metrics.broadcast(late, 1, 1, 10)
    assert watch.figures(f"{COMMITTED}_count", "tenant") == {late: 1, THE_REST: 1}


def test_rows_of_many_threads_are_all_counted(watch: Watch) -> None:
    def send(tenant: str) -> None:
        for _ in range(5_000):
            watch.metrics.broadcast(tenant, 1, 1, 10)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(send, ["t1", "t1", "t1", "t2"]))
    assert watch.figures(f"{COMMITTED}_count", "tenant") == {"t1": 15_000, "t2": 5_000}
    assert watch.figure("tenant_connect_broadcast_payload_bytes_total") == 200_000
