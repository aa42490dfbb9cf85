from __future__ import annotations

import asyncio

from prometheus_client.parser import text_string_to_metric_families as parse

from statemachine.events import OccupancyUsed
from tests.support.scenario import given
from tests.unit.metrics.watching import READY
from tests.unit.web.place import Place, ask

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


async def test_metrics_are_served_as_text(place: Place) -> None:
    place.assigned, place.states = (), [given(*READY, OccupancyUsed(2)).state]
    place.metrics.broadcast("t1", 3, 4, 200)
    async with place.served() as url:
        answer = await ask(f"{url}/metrics")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    samples = {sample.name: sample for family in parse(answer.text) for sample in family.samples}
    assert samples["realtime_tenants_connected"].value == 1
    assert samples["realtime_tenants_payload_size_sum"].labels == {"tenant": "t1", "message_type": "broadcast"}


async def test_openmetrics_is_served_where_it_is_asked_for(place: Place) -> None:
    async with place.served() as url:
        answer = await ask(f"{url}/metrics", Accept=OPENMETRICS)
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")


async def test_the_worker_lives_while_many_ask_for_its_figures(place: Place) -> None:
    async with place.served() as url:
        *pages, live = await asyncio.gather(*(ask(f"{url}/metrics") for _ in range(8)), ask(f"{url}/health/live"))
    assert {page.status for page in pages} == {200}
    assert live.status == 200


async def test_a_figure_that_cannot_be_read_spoils_one_answer_and_not_the_next(place: Place) -> None:
    async with place.served() as url:
        place.failure = RuntimeError("hunter2")
        spoilt = await ask(f"{url}/metrics")
        place.failure = None
        assert (await ask(f"{url}/metrics")).status == 200
    assert spoilt.status == 500
    assert spoilt.body == {
        "error": {"code": "internal_error", "message": "the answer failed; the worker's log says why"}
    }
