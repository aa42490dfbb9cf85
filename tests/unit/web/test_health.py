from __future__ import annotations

import pytest

from streams.metrics.rebuild import PartitionProgress
from tests.unit.web.place import Place, ask

SERVED = PartitionProgress(0, served=True, position=912, target=None, rate=None)
REBUILDING = PartitionProgress(1, served=False, position=40_000, target=90_000, rate=12_500.0)
UNKNOWN = PartitionProgress(2, served=False, position=-1, target=None, rate=None)


@pytest.mark.parametrize("assigned", [None, (), (SERVED,), (REBUILDING,)])
async def test_a_worker_lives_however_far_it_is(place: Place, assigned: tuple[PartitionProgress, ...] | None) -> None:
    place.assigned = assigned
    async with place.served() as url:
        answer = await ask(f"{url}/health/live")
    assert (answer.status, answer.body) == (200, {"live": True})


async def test_a_worker_lives_though_nobody_can_say_how_far_it_is(place: Place) -> None:
    place.failure = RuntimeError("no broker")
    async with place.served() as url:
        assert (await ask(f"{url}/health/live")).status == 200
        assert (await ask(f"{url}/health/ready")).status == 500


async def test_a_worker_that_serves_all_it_was_assigned_is_ready(place: Place) -> None:
    place.assigned = (SERVED,)
    async with place.served() as url:
        answer = await ask(f"{url}/health/ready")
    assert answer.status == 200
    assert answer.body == {
        "ready": True,
        "message": "every assigned partition is served",
        "partitions": [
            {
                "partition": 0,
                "served": True,
                "position": 912,
                "target": None,
                "left": None,
                "rate_per_second": None,
                "seconds_left": None,
            }
        ],
    }


async def test_a_worker_that_rebuilds_is_not_ready_and_says_how_far_it_is(place: Place) -> None:
    place.assigned = (SERVED, REBUILDING, UNKNOWN)
    async with place.served() as url:
        answer = await ask(f"{url}/health/ready")
    assert answer.status == 503
    assert (answer.body["ready"], answer.body["message"]) == (False, "partitions are being rebuilt from the log")
    rebuilding, unknown = answer.body["partitions"][1:]
    assert rebuilding == {
        "partition": 1,
        "served": False,
        "position": 40_000,
        "target": 90_000,
        "left": 50_000,
        "rate_per_second": 12_500.0,
        "seconds_left": 4.0,
    }
    assert (unknown["position"], unknown["target"], unknown["seconds_left"]) == (-1, None, None)


async def test_a_worker_without_an_assignment_is_not_ready(place: Place) -> None:
    async with place.served() as url:
        answer = await ask(f"{url}/health/ready")
    assert (answer.status, answer.body["ready"], answer.body["partitions"]) == (503, False, [])
    assert "joining" in answer.body["message"]


async def test_a_rebuild_that_stands_still_does_not_say_when_it_ends(place: Place) -> None:
    place.assigned = (REBUILDING._replace(rate=0.0),)
    async with place.served() as url:
        answer = await ask(f"{url}/health/ready")
    assert answer.body["partitions"][0]["seconds_left"] is None


async def test_nobody_on_the_way_keeps_an_answer(place: Place) -> None:
    async with place.served() as url:
        for path in ("/health/live", "/health/ready", "/metrics", "/nowhere"):
            assert (await ask(f"{url}{path}")).headers["Cache-Control"] == "no-store"
