from __future__ import annotations

import asyncio

import pytest

from streams.errors import OwnershipLost
from streams.kafka.partitioner import partition_of
from streams.log.reader import Record
from streams.users.counts import Tally
from streams.users.following import TAKEOVER_MS_MAX, Following, forsake

NOW_MS = 1_900_000_000_000
PARTITIONS = 4
TENANT = "t1"
PARTITION = partition_of(TENANT, PARTITIONS)


def record(offset: int, users: int = 1, *, tenant: str = TENANT, at_ms: int = NOW_MS) -> Record:
    value = b'{"gateway": "g1", "users": %d}' % users
    return Record(PARTITION, offset, at_ms, tenant.encode(), value)


@pytest.fixture
async def following() -> Following:
    return Following(PARTITION, PARTITIONS, NOW_MS, Tally(), asyncio.get_running_loop().create_future())


async def test_nothing_is_known_before_it_is_clear_where_the_partition_ends(following: Following) -> None:
    following.pass_time(NOW_MS)
    assert (following.known, following.has_news) == (False, False)


async def test_an_empty_partition_is_known_at_once(following: Following) -> None:
    following.begin(7, 7)
    following.pass_time(NOW_MS)
    assert (following.known, following.take_news()) == (True, set())
    assert following.caught_up.done()


async def test_what_changed_on_the_way_to_the_end_is_told_as_it_is_there(following: Following) -> None:
    following.begin(5, 8)
    other = next(f"t{n}" for n in range(2, 100) if partition_of(f"t{n}", PARTITIONS) == PARTITION)
    for each in (record(5), record(6, 0), record(7, tenant=other)):
        following.pass_time(NOW_MS)
        assert (following.known, following.has_news) == (False, False)
        following.take_in(each, NOW_MS)
    following.pass_time(NOW_MS)
    assert (following.known, following.take_news(), following.has_news) == (True, {other}, False)


async def test_a_tail_that_is_not_there_any_more_keeps_nothing_from_being_known(following: Following) -> None:
    following.begin(5, 8)
    following.pass_by(8)
    following.pass_time(NOW_MS)
    assert following.known


async def test_a_short_visit_is_told(following: Following) -> None:
    following.begin(0, 0)
    following.pass_time(NOW_MS)
    following.take_news()
    following.take_in(record(0, 1), NOW_MS)
    following.take_in(record(1, 0), NOW_MS)
    assert following.take_news() == {TENANT}


async def test_a_report_in_the_wrong_partition_is_refused_and_names_the_right_one(following: Following) -> None:
    stranger = next(f"t{n}" for n in range(100) if partition_of(f"t{n}", PARTITIONS) != PARTITION)
    error = following.take_in(record(0, tenant=stranger), NOW_MS)
    assert f"belongs to partition {partition_of(stranger, PARTITIONS)}" in str(error)
    assert not following.counts.reported(stranger)


async def test_only_what_an_owner_before_may_have_missed_is_recent(following: Following) -> None:
    following.begin(0, 10)
    long_ago_ms = NOW_MS - TAKEOVER_MS_MAX
    assert not following.is_recent(record(9, at_ms=long_ago_ms))
    assert following.is_recent(record(9, at_ms=long_ago_ms + 1))
    assert following.is_recent(record(10, at_ms=long_ago_ms))


async def test_users_that_had_left_before_they_were_reported_are_counted_as_such(following: Following) -> None:
    following.begin(0, 1)
    for offset in (0, 1):
        following.take_in(record(offset, at_ms=NOW_MS - 60_000), NOW_MS)
        following.pass_time(NOW_MS)
    assert (following._tally.read, following._tally.ended) == (2, 1)


async def test_who_waits_for_a_partition_that_is_dropped_is_told(following: Following) -> None:
    forsake(following, OwnershipLost("x"))
    with pytest.raises(OwnershipLost):
        await following.caught_up
