from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from streams.replication.refusals import LOG_INTERVAL_S, Refusals


class Counted:
    def __init__(self) -> None:
        self.codes: list[str] = []

    def delivered(self, *_: object) -> None:
        raise AssertionError

    def dropped(self, code: str) -> None:
        self.codes.append(code)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    with capture_logs() as lines:
        yield lines


def test_each_refusal_is_counted_and_the_first_is_logged(logged: list[Any]) -> None:
    counted = Counted()
    refusals = Refusals("t1", counted, Clock())
    for row in ("a", "b", "c"):
        refusals.refuse("too_many_requests", "too many", row)
    assert counted.codes == ["too_many_requests"] * 3
    assert [(line["reason"], line["row"], line["code"]) for line in logged] == [
        ("too_many_requests", "a", "UnableToBroadcastChanges")
    ]


def test_codes_do_not_silence_each_other(logged: list[Any]) -> None:
    refusals = Refusals("t1", Counted(), Clock())
    refusals.refuse("event_missing", "no event", None)
    refusals.refuse("topic_missing", "no topic", None)
    assert [line["reason"] for line in logged] == ["event_missing", "topic_missing"]


def test_what_was_not_said_is_counted_in_the_next_line(logged: list[Any]) -> None:
    clock = Clock()
    refusals = Refusals("t1", Counted(), clock)
    for _ in range(5):
        refusals.refuse("event_missing", "no event", None)
    clock.now += LOG_INTERVAL_S
    for _ in range(2):
        refusals.refuse("event_missing", "no event", None)
    assert [line["unsaid"] for line in logged] == [0, 4]
