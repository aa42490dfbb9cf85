from __future__ import annotations

import asyncio

import pytest

from streams.settings import Settings
from tests.integration.users.conftest import Watcher
from tests.support.waiting import until
from tests.unit.cli.command import Ended, call

pytestmark = pytest.mark.kafka


async def report(settings: Settings, *arguments: str) -> Ended:
    place = {"kafka": settings.kafka, "topic_prefix": settings.topic_prefix}
    return await asyncio.to_thread(call, "users", "report", *arguments, **place)


async def test_users_are_reported_by_hand(watcher: Watcher, settings: Settings, partition: int) -> None:
    watcher.users.take(partition)
    said = await report(settings, "t1", "--gateway", "g1", "--users", "12", "--json")
    assert (said.code, said.records) == (0, [{"tenant": "t1", "gateway": "g1", "users": 12, "ttl_ms": 60_000}])
    await until(lambda: watcher.users.count("t1") == 12)
    said = await report(settings, "t1", "--gateway", "g2", "--users", "1", "--ttl-ms", "5000")
    assert said.out == "g2 has 1 user of t1; this holds for 5000 ms.\n"
    await until(lambda: watcher.users.count("t1") == 13)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (("t1", "--gateway", "g1", "--users", "-1"), "--users"),
        (("t1", "--gateway", "g1", "--users", "1", "--ttl-ms", "0"), "--ttl-ms"),
        (("t1", "--gateway", "g" * 129, "--users", "1"), "gateway"),
        (("t" * 129, "--gateway", "g1", "--users", "1"), "tenant id"),
        (("t\n", "--gateway", "g1", "--users", "1"), "tenant id"),
        (("", "--gateway", "g1", "--users", "1"), "tenant id"),
        (("t1", "--users", "1"), "--gateway"),
    ],
)
async def test_a_value_out_of_its_bounds_is_wrong_use(settings: Settings, wrong: tuple[str, ...], named: str) -> None:
    said = await report(settings, *wrong)
    assert (said.code, named in said.err) == (2, True), said.err
