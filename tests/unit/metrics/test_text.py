from __future__ import annotations

from importlib.metadata import version

import pytest
from prometheus_client import REGISTRY
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tests.unit.metrics.watching import READY, Watch

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


@pytest.fixture
def busy(watch: Watch) -> Watch:
    watch.states = [watch.when(*READY).state]
    watch.metrics.broadcast('a "quoted"\ntenant', 1, 1, 1)
    return watch


def test_the_text_is_plain_unless_something_else_is_asked_for(busy: Watch) -> None:
    written = busy.metrics.look().write()
    assert written.content_type.startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in parse_text(written.body.decode())}
    assert families["realtime_tenants_connected"].samples[0].value == 1


def test_openmetrics_is_written_where_it_is_asked_for(busy: Watch) -> None:
    written = busy.metrics.look().write(OPENMETRICS)
    assert written.content_type.startswith("application/openmetrics-text")
    text = written.body.decode()
    assert text.endswith("# EOF\n")
    names = {family.name for family in parse_openmetrics(text)}  # type: ignore[no-untyped-call]  # the library's
    assert {"tenant_connect_events", "realtime_tenants_payload_size", "tenant_connect_build"} <= names


def test_no_counter_is_doubled_by_the_time_of_its_birth(busy: Watch) -> None:
    assert b"_created" not in busy.metrics.look().write().body


def test_the_worker_says_who_it_is(watch: Watch) -> None:
    (build,) = (family for family in watch.metrics.look().collect() if family.name == "tenant_connect_build")
    labels = build.samples[0].labels
    assert (labels["version"], labels["region"], labels["worker"]) == (version("tenant-connect"), "local", "w1")


def test_memory_and_descriptors_of_the_process_are_shown(watch: Watch) -> None:
    assert (watch.figure("process_resident_memory_bytes") or 0) > 1_000_000
    assert (watch.figure("process_open_fds") or 0) > 2


def test_two_workers_in_one_process_count_apart_and_nothing_is_global() -> None:
    first, second = Watch(), Watch()
    first.when(*READY)
    assert first.figure("tenant_connect_connects_total", outcome="ready") == 1
    assert second.figure("tenant_connect_connects_total", outcome="ready") == 0
    assert not [family for family in REGISTRY.collect() if family.name.startswith(("tenant_connect", "realtime"))]
