from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from statemachine.events import (
    Claimed,
    ConnectPaused,
    ConnectProvisioned,
    ConnectRequested,
    ConnectStopped,
    DatabaseLost,
    ReplicationLost,
    ReplicationPostponed,
    TenantEventData,
)
from statemachine.state import StopReason, TenantState
from streams.cli.explanation import explanation
from streams.cli.failure import WrongUse
from streams.cli.moments import parse_start, parse_until
from streams.terminal.wording import what_happened
from streams.wire.reply import Owner, status_of
from tests.support.scenario import START, following, given

NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (
            ConnectProvisioned(1, ("2030-01-01", "2030-01-05"), 7),
            "1 migration run; partitions 2030-01-01 to 2030-01-05",
        ),
        (
            ConnectStopped(StopReason.DATABASE_UNAVAILABLE, "UnableTo", "no route"),
            "database_unavailable (UnableTo): no",
        ),
        (ConnectPaused("moving", "ops", NOON), "by ops: moving, until 2030-01-31 12:00:00Z"),
        (ConnectPaused(), "by an operator: no reason given"),
        (DatabaseLost(NOON, None, "broken."), "broken; tried again until 2030-01-31 12:00:00Z"),
        (ReplicationLost("Down", "it ended.", NOON, NOON), "Down: it ended; tried again at 2030-01-31 12:00:00Z"),
        (
            ReplicationPostponed("Full", "none free", NOON, NOON, None, "pid 7"),
            "Full: none free; blocked by pid 7; tried",
        ),
    ],
)
def test_what_happened_is_told_in_words(data: TenantEventData, words: str) -> None:
    assert words in what_happened(following(TenantState("t1"), data))


def test_a_claim_is_told_by_its_worker() -> None:
    assert what_happened(Claimed("w1", 3)) == "by w1, generation 3"


def test_the_explanation_of_a_paused_tenant_says_who_why_and_until_when() -> None:
    state = given(ConnectPaused("moving", "ops", NOON)).state
    text = explanation(status_of(state, Owner("w1", 7))).plain.splitlines()
    assert text[0] == "t1 is absent: paused by ops: moving."
    assert text[2] == "Next, at 2030-01-31 12:00:00Z: it resumes by itself."
    assert text[3] == "w1 answered, which owns it under claim 7."


def test_the_explanation_names_the_event_since_which_it_is_so() -> None:
    checking = given(ConnectRequested("us-east-1", "local")).state
    second = explanation(status_of(checking, None)).plain.splitlines()[1]
    assert second == f"It has been checking since {START:%Y-%m-%d %H:%M:%SZ}; the event behind it is t1/1@0."
    untouched = explanation(status_of(TenantState("t1"), None)).plain.splitlines()[1]
    assert untouched == "It has been absent from the beginning."


def test_times_and_sequences_are_told_apart() -> None:
    assert parse_until("3") == 3
    assert parse_until("2030-01-31T12:00:00Z") == NOON
    assert parse_until("2030-01-31T13:00:00+01:00") == NOON.astimezone(timezone(timedelta(hours=1)))
    assert parse_until(None) is None
    assert (parse_start("now"), parse_start("start")) == ("now", "start")


@pytest.mark.parametrize("text", ["", "-3", "noon", "2030-01-31T12:00:00"])
def test_a_time_needs_its_form_and_its_zone(text: str) -> None:
    with pytest.raises(WrongUse, match="Z"):
        parse_until(text)
