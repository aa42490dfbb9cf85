from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from streams.replication.resume import (
    AHEAD_MAX,
    ByTime,
    Cause,
    Fresh,
    FromPoint,
    Gap,
    Known,
    Plan,
    Resume,
    Server,
    ended_timelines,
    plan,
    rewritten,
)
from streams.wire.position import ResumePoint

NOW = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
RETENTION = timedelta(hours=72)
OVERLAP = timedelta(minutes=10)
POINT = ResumePoint("t1", 7, 1_000, 0x5000, "7711176531903384187", 3, NOW - timedelta(hours=1))
SERVER = Server("7711176531903384187", 3, {1: 0x1000, 2: 0x4000}, 0x6000, 2_000, NOW)
TRUSTED = FromPoint(POINT.xmin, POINT.lsn, POINT.at)


def planned(
    point: ResumePoint | None, server: Server = SERVER, *, until: datetime | None = NOW, claim: int | None = 7
) -> Plan:
    return plan(Known(point, until, claim), server, retention=RETENTION, overlap=OVERLAP)


def resume(point: ResumePoint | None, server: Server = SERVER) -> Resume:
    return planned(point, server).resume


def test_the_first_stream_of_a_tenant_makes_up_for_nothing() -> None:
    assert planned(None, until=None, claim=None) == Plan(Fresh())


def test_where_nothing_was_ever_streamed_rows_are_delivered_since_they_were_promised() -> None:
    since = NOW - timedelta(minutes=3)
    known = Known(promised_since=since)
    assert plan(known, SERVER, retention=RETENTION, overlap=OVERLAP) == Plan(ByTime(since - OVERLAP))


def test_what_was_promised_longer_ago_than_rows_are_kept_may_be_missing_and_that_is_told() -> None:
    since = NOW - RETENTION - timedelta(minutes=1)
    assert plan(Known(promised_since=since), SERVER, retention=RETENTION, overlap=OVERLAP) == Plan(
        ByTime(since - OVERLAP), Gap(None, "0/6000", Cause.NO_POINT, "inserted_at")
    )


def test_what_was_streamed_before_counts_for_more_than_what_was_promised() -> None:
    known = Known(POINT, NOW, 7, NOW - timedelta(days=30))
    assert plan(known, SERVER, retention=RETENTION, overlap=OVERLAP) == Plan(TRUSTED)


def test_a_point_of_the_same_history_is_resumed_from_without_a_gap() -> None:
    assert planned(POINT) == Plan(TRUSTED)


def test_a_point_is_enough_where_no_start_is_known() -> None:
    assert planned(POINT, until=None, claim=None) == Plan(TRUSTED)


def test_without_a_point_rows_are_read_by_their_time_and_the_gap_is_told() -> None:
    until = NOW - timedelta(minutes=3)
    assert planned(None, until=until) == Plan(
        ByTime(until - OVERLAP), Gap(None, "0/6000", Cause.NO_POINT, "inserted_at")
    )


@pytest.mark.parametrize(
    ("cause", "to_lsn", "point", "server"),
    [
        (Cause.ANOTHER_SYSTEM, None, POINT, replace(SERVER, system_identifier="1")),
        (Cause.ANOTHER_HISTORY, None, POINT, replace(SERVER, timeline=4, ended_timelines={3: 0x4FFF})),
        (Cause.ANOTHER_HISTORY, None, POINT, replace(SERVER, timeline=2, ended_timelines={1: 0x1000})),
        (Cause.SERVER_BEHIND, None, POINT, replace(SERVER, lsn=0x4FFF)),
        (Cause.SERVER_BEHIND, None, POINT, replace(SERVER, next_xid=999)),
        (Cause.WRAPPED, "0/6000", POINT, replace(SERVER, next_xid=1_000 + AHEAD_MAX)),
        (Cause.TOO_OLD, "0/6000", POINT._replace(at=NOW - timedelta(hours=73)), SERVER),
        (Cause.OLDER_CLAIM, "0/6000", POINT._replace(claim=6), SERVER),
    ],
)
def test_a_point_that_is_not_trusted_is_a_gap(
    cause: Cause, to_lsn: str | None, point: ResumePoint, server: Server
) -> None:
    assert planned(point, server) == Plan(ByTime(point.at - OVERLAP), Gap("0/5000", to_lsn, cause, "inserted_at"))


@pytest.mark.parametrize(
    "server",
    [
        replace(SERVER, lsn=POINT.lsn),
        replace(SERVER, next_xid=POINT.xmin),
        replace(SERVER, next_xid=POINT.xmin + AHEAD_MAX - 1),
        replace(SERVER, now=POINT.at + RETENTION),
        replace(SERVER, timeline=4, ended_timelines={1: 0x1000, 2: 0x4000, 3: POINT.lsn}),
        replace(SERVER, timeline=6, ended_timelines={3: POINT.lsn + 1, 4: 0x5800, 5: 0x5900}),
    ],
)
def test_a_point_is_trusted_up_to_the_edge(server: Server) -> None:
    assert resume(POINT, server) == TRUSTED


def test_a_point_of_a_later_claim_than_the_last_start_is_trusted() -> None:
    assert planned(POINT, claim=5) == Plan(TRUSTED)


def test_a_timeline_history_says_where_each_timeline_was_left() -> None:
    text = "1\t0/3000148\tno recovery target specified\n\n2\tA/B374D848\tbefore 2000-01-01 00:00:00+00\n"
    assert ended_timelines(text) == {1: 0x3000148, 2: 0xAB374D848}
    assert ended_timelines("") == {}
    assert ended_timelines("# a comment\nnonsense\n") == {}


def test_rows_of_another_history_are_a_gap_up_to_the_slot() -> None:
    assert rewritten(POINT.lsn, SERVER) == Gap("0/5000", "0/6000", "history_rewritten", "inserted_at")
