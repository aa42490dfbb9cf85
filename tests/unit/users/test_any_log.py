"""What holds for any log of reports, whoever reads it and from wherever."""

from __future__ import annotations

from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from streams.users.counts import CLOCK_AHEAD_MS_MAX, KEPT_MS, Counts, Tally
from tests.unit.users.model import TENANT, Model, Said, read_at

START_MS = 1_900_000_000_000
MINUTE_MS = 60_000
TTL_MS_MAX = 10 * MINUTE_MS

moments = st.integers(START_MS, START_MS + 40 * MINUTE_MS)
times_to_live = st.integers(1, TTL_MS_MAX)
gateways = st.sampled_from(["g1", "g2", "g3"])
users = st.integers(0, 3)
reports = st.builds(Said, gateways, users, times_to_live, moments)
logs = st.lists(reports, max_size=25)


def nows(log: list[Said]) -> st.SearchStrategy[int]:
    latest_ms = max((said.at_ms for said in log), default=START_MS)
    return st.integers(latest_ms, START_MS + KEPT_MS - 1)


@given(st.data())
def test_answers_are_those_of_the_whole_log(data: st.DataObject) -> None:
    log = data.draw(logs)
    now_ms = data.draw(nows(log))
    counts, model = read_at(now_ms, log), Model(log)
    assert counts.users(TENANT, now_ms) == model.users(now_ms)
    assert counts.empty_since(TENANT, now_ms) == model.empty_since(now_ms)
    assert counts.reported(TENANT) is bool(log)
    assert counts.used == ({TENANT} if model.users(now_ms) else set())


@given(st.data())
def test_reports_of_different_gateways_may_come_in_any_order(data: st.DataObject) -> None:
    log = data.draw(logs)
    now_ms = data.draw(nows(log))
    remaining = {gateway: [said for said in log if said.gateway == gateway] for gateway in ("g1", "g2", "g3")}
    shuffled = [remaining[gateway].pop(0) for gateway in data.draw(st.permutations([said.gateway for said in log]))]
    counts, other = read_at(now_ms, log), read_at(now_ms, shuffled)
    assert other.users(TENANT, now_ms) == counts.users(TENANT, now_ms)
    assert other.empty_since(TENANT, now_ms) == counts.empty_since(TENANT, now_ms)


@given(st.data())
def test_reports_that_come_again_change_nothing(data: st.DataObject) -> None:
    log = data.draw(st.lists(reports, max_size=15, unique_by=lambda said: (said.gateway, said.at_ms)))
    now_ms = data.draw(nows(log))
    again = list(log)
    for said in data.draw(st.lists(st.sampled_from(log), max_size=5)) if log else ():
        again.insert(data.draw(st.integers(log.index(said) + 1, len(again))), said)
    counts, other = read_at(now_ms, log), read_at(now_ms, again)
    assert other.users(TENANT, now_ms) == counts.users(TENANT, now_ms)
    assert other.empty_since(TENANT, now_ms) == counts.empty_since(TENANT, now_ms)


pauses = st.one_of(st.integers(0, 2_000), st.integers(0, TTL_MS_MAX), st.integers(0, 2 * KEPT_MS))
skews = st.integers(-5 * MINUTE_MS, CLOCK_AHEAD_MS_MAX)


@st.composite
def lives(draw: st.DrawFn) -> list[tuple[int, Said | None]]:
    """Hours of a log as its owner saw them come in: when, and what; nothing where it only looked at the clock."""
    now_ms = START_MS
    life: list[tuple[int, Said | None]] = []
    for _ in range(draw(st.integers(0, 30))):
        now_ms += draw(pauses)
        said = draw(st.builds(Said, gateways, users, times_to_live, skews.map(now_ms.__add__)))
        life.append((now_ms, draw(st.sampled_from([said, said, said, None]))))
    return life


@given(lives(), pauses, st.integers(0, 30))
def test_a_new_owner_finds_the_moment_that_the_old_one_knew(
    life: list[tuple[int, Said | None]], pause_ms: int, earlier: int
) -> None:
    old = Counts(Tally())
    now_ms = START_MS
    for now_ms, said in life:
        if said is not None:
            old.apply(TENANT, said.report, said.at_ms, now_ms)
        old.expire(now_ms)
    now_ms += pause_ms
    old.expire(now_ms)

    log = [said for _, said in life if said is not None]
    hour = next((index for index, said in enumerate(log) if said.at_ms >= now_ms - KEPT_MS), len(log))
    new = read_at(now_ms, log[max(0, hour - earlier) :])
    assert new.users(TENANT, now_ms) == old.users(TENANT, now_ms)
    assert new.used == old.used
    known = old.empty_since(TENANT, now_ms)
    if known is None or known - TTL_MS_MAX > now_ms - KEPT_MS:
        note("the moment is within the hour")
        assert new.empty_since(TENANT, now_ms) == known
    else:
        since = new.empty_since(TENANT, now_ms)
        assert since is None or since >= known


@given(lives())
def test_what_is_told_adds_up_to_who_is_used(life: list[tuple[int, Said | None]]) -> None:
    counts = Counts(Tally())
    told: set[str] = set()
    for now_ms, said in life:
        told ^= counts.expire(now_ms)
        if said is not None and counts.apply(TENANT, said.report, said.at_ms, now_ms):
            told ^= {TENANT}
        assert told == counts.used == ({TENANT} if counts.users(TENANT, now_ms) else set())


@given(lives())
def test_everything_is_forgotten_in_the_end(life: list[tuple[int, Said | None]]) -> None:
    counts = Counts(Tally())
    now_ms = START_MS
    for now_ms, said in life:
        if said is not None:
            counts.apply(TENANT, said.report, said.at_ms, now_ms)
    counts.expire(now_ms + TTL_MS_MAX + CLOCK_AHEAD_MS_MAX)
    counts.expire(now_ms + TTL_MS_MAX + CLOCK_AHEAD_MS_MAX + KEPT_MS)
    assert (len(counts), counts.used, counts._timetable) == (0, set(), [])
