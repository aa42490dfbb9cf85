from __future__ import annotations

import pytest

from streams.users import counts as bounds
from streams.users.counts import CLOCK_AHEAD_MS_MAX, KEPT_MS, Counts, Tally
from streams.wire.users import ReadReport

NOW_MS = 1_900_000_000_000
TTL_MS = 60_000


def told(counts: Counts, gateway: str, users: int, at_ms: int = NOW_MS, *, now_ms: int | None = None) -> bool:
    """A gateway reports on ``t1``."""
    return counts.apply("t1", ReadReport(gateway, users, TTL_MS), at_ms, at_ms if now_ms is None else now_ms)


@pytest.fixture
def tally() -> Tally:
    return Tally()


@pytest.fixture
def counts(tally: Tally) -> Counts:
    return Counts(tally)


def test_users_are_the_sum_over_the_gateways(counts: Counts) -> None:
    told(counts, "g1", 2)
    told(counts, "g2", 3)
    told(counts, "g1", 4)
    assert counts.users("t1", NOW_MS) == 7
    assert counts.empty_since("t1", NOW_MS) is None
    assert counts.used == {"t1"}


def test_a_tenant_that_was_never_reported_is_told_apart_from_an_unused_one(counts: Counts) -> None:
    assert (counts.reported("t1"), counts.users("t1", NOW_MS), counts.empty_since("t1", NOW_MS)) == (False, 0, None)
    told(counts, "g1", 0)
    assert (counts.reported("t1"), counts.users("t1", NOW_MS)) == (True, 0)


def test_nobody_uses_a_tenant_from_the_zero_report_on_however_often_it_is_repeated(counts: Counts) -> None:
    told(counts, "g1", 2)
    for passed_ms in (10_000, 20_000, 90_000):
        told(counts, "g1", 0, NOW_MS + passed_ms)
    assert counts.empty_since("t1", NOW_MS + 90_000) == NOW_MS + 10_000


def test_nobody_uses_a_tenant_from_the_end_of_the_last_report_on(counts: Counts) -> None:
    told(counts, "g1", 2)
    told(counts, "g2", 0, NOW_MS + 90_000)
    assert counts.empty_since("t1", NOW_MS + 90_000) == NOW_MS + TTL_MS


def test_only_the_first_user_and_the_last_to_leave_are_told(counts: Counts) -> None:
    assert [told(counts, "g1", users) for users in (1, 2)] == [True, False]
    assert [told(counts, "g2", users) for users in (1, 0)] == [False, False]
    assert told(counts, "g1", 0)


def test_users_whose_time_is_over_are_told_once(counts: Counts) -> None:
    told(counts, "g1", 1)
    told(counts, "g2", 1, NOW_MS + 1_000)
    assert counts.expire(NOW_MS + TTL_MS) == set()
    assert counts.users("t1", NOW_MS + TTL_MS) == 1
    assert counts.expire(NOW_MS + TTL_MS + 1_000) == {"t1"}
    assert counts.expire(NOW_MS + TTL_MS + 1_001) == set()


def test_of_two_reports_of_one_millisecond_the_one_that_stands_later_counts(counts: Counts) -> None:
    told(counts, "g1", 1)
    told(counts, "g1", 0)
    assert counts.users("t1", NOW_MS) == 0


def test_a_report_that_was_overtaken_is_left_out(counts: Counts, tally: Tally) -> None:
    told(counts, "g1", 0)
    told(counts, "g1", 5, NOW_MS - 1, now_ms=NOW_MS)
    assert (counts.users("t1", NOW_MS), tally.overtaken) == (0, 1)


def test_a_clock_that_is_a_little_ahead_is_believed(counts: Counts) -> None:
    told(counts, "g1", 3, NOW_MS - 1_000)
    told(counts, "g1", 0, NOW_MS + 500, now_ms=NOW_MS)
    assert counts.users("t1", NOW_MS) == 3
    assert counts.expire(NOW_MS + 500) == {"t1"}
    assert counts.empty_since("t1", NOW_MS + 500) == NOW_MS + 500


def test_nobody_can_be_gone_since_a_moment_to_come(counts: Counts) -> None:
    told(counts, "g1", 0, NOW_MS + 500, now_ms=NOW_MS)
    assert counts.empty_since("t1", NOW_MS) == NOW_MS


def test_a_clock_that_is_far_ahead_holds_nothing_up_for_long(counts: Counts) -> None:
    told(counts, "g1", 3, NOW_MS + KEPT_MS, now_ms=NOW_MS)
    assert counts.expire(NOW_MS + CLOCK_AHEAD_MS_MAX + TTL_MS) == {"t1"}
    told(counts, "g1", 3, NOW_MS + KEPT_MS, now_ms=NOW_MS)
    mended_ms = NOW_MS + CLOCK_AHEAD_MS_MAX
    assert told(counts, "g1", 0, mended_ms)
    assert counts.users("t1", mended_ms) == 0


def test_a_report_from_before_the_last_hour_is_left_out(counts: Counts, tally: Tally) -> None:
    told(counts, "g1", 0, NOW_MS - KEPT_MS, now_ms=NOW_MS)
    assert (counts.reported("t1"), tally.outdated) == (False, 1)


def test_a_tenant_is_forgotten_an_hour_after_its_last_users(counts: Counts) -> None:
    told(counts, "g1", 1)
    counts.expire(NOW_MS + TTL_MS)
    counts.expire(NOW_MS + TTL_MS + KEPT_MS - 1)
    assert counts.empty_since("t1", NOW_MS + TTL_MS + KEPT_MS - 1) == NOW_MS + TTL_MS
    counts.expire(NOW_MS + TTL_MS + KEPT_MS)
    assert (counts.reported("t1"), len(counts)) == (False, 0)


def test_gateways_of_long_ago_are_forgotten_while_their_tenant_is_used(counts: Counts) -> None:
    for passed in range(300):
        now_ms = NOW_MS + passed * TTL_MS // 2
        told(counts, f"g{passed}", 1, now_ms)
        counts.expire(now_ms)
    (tenant,) = counts._tenants.values()
    assert len(tenant.gateways) <= 1 + KEPT_MS // (TTL_MS // 2) + 2


def test_more_gateways_than_count_are_refused_until_one_is_silent(
    counts: Counts, tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "GATEWAYS_PER_TENANT_MAX", 2)
    told(counts, "g1", 1)
    told(counts, "g2", 1)
    told(counts, "g3", 5)
    assert (counts.users("t1", NOW_MS), tally.refused) == (2, 1)
    told(counts, "g2", 0, NOW_MS + 1)
    told(counts, "g3", 5, NOW_MS + 2)
    assert (counts.users("t1", NOW_MS + 2), tally.refused) == (6, 1)
    told(counts, "g4", 1, NOW_MS + 3)
    assert (counts.users("t1", NOW_MS + 3), tally.refused) == (6, 2)
    told(counts, "g4", 1, NOW_MS + TTL_MS)
    assert counts.users("t1", NOW_MS + TTL_MS) == 6
    counts.expire(NOW_MS + 3 * TTL_MS)
    assert counts.empty_since("t1", NOW_MS + 3 * TTL_MS) == NOW_MS + 2 * TTL_MS


def test_more_tenants_than_count_are_refused_until_one_is_forgotten(
    counts: Counts, tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "TENANTS_MAX", 1)
    told(counts, "g1", 1)
    counts.apply("t2", ReadReport("g1", 1, TTL_MS), NOW_MS, NOW_MS)
    assert (counts.used, tally.refused) == ({"t1"}, 1)
    later_ms = NOW_MS + TTL_MS + KEPT_MS
    counts.expire(NOW_MS + TTL_MS)
    counts.expire(later_ms)
    counts.apply("t2", ReadReport("g1", 1, TTL_MS), later_ms, later_ms)
    assert counts.used == {"t2"}


def test_the_timetable_does_not_grow_with_the_reports(counts: Counts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "STALE_ENTRIES_MIN", 10)
    for passed_ms in range(0, 10_000, 10):
        now_ms = NOW_MS + passed_ms
        counts.apply("t1", ReadReport("g1", 1, KEPT_MS), now_ms, now_ms)
        counts.apply("t1", ReadReport("g1", 1, 5), now_ms + 1, now_ms + 1)
        counts.expire(now_ms + 6)
    assert len(counts._timetable) <= 12


def test_the_end_of_users_outlasts_the_gateway_that_had_them(counts: Counts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "GATEWAYS_PER_TENANT_MAX", 1)
    told(counts, "g1", 1)
    end_ms = NOW_MS + TTL_MS
    told(counts, "a clock that is behind", 1, NOW_MS + 10_000, now_ms=end_ms)
    told(counts, "a clock that is behind", 0, NOW_MS + 20_000, now_ms=end_ms)
    assert counts.empty_since("t1", end_ms) == end_ms


def test_a_tenant_is_remembered_while_gateways_say_that_nobody_uses_it(counts: Counts) -> None:
    for passed_ms in range(0, 3 * KEPT_MS, KEPT_MS // 2):
        told(counts, "g1", 0, NOW_MS + passed_ms)
        counts.expire(NOW_MS + passed_ms)
    assert counts.empty_since("t1", NOW_MS + 3 * KEPT_MS) == NOW_MS


def test_the_end_of_users_that_held_for_the_whole_hour_is_known(counts: Counts) -> None:
    counts.apply("t1", ReadReport("g1", 1, KEPT_MS), NOW_MS, NOW_MS)
    assert counts.expire(NOW_MS + KEPT_MS) == {"t1"}
    assert counts.empty_since("t1", NOW_MS + KEPT_MS) == NOW_MS + KEPT_MS
