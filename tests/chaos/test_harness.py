"""What measures and harms has to be right, too: silence, looks at sessions, points to die at, clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.chaos.evidence import Call, Evidence, Life, Session
from tests.chaos.outages import Outage, outages_of
from tests.chaos.stage import Fault
from tests.chaos.watching import count, note
from tests.chaos.worker import POINTS, clock_of, dying


def answered(*moments: float) -> list[Call]:
    reply = {"outcome": "ok"}
    return [Call(f"{moment}", "t1", "status", moment - 0.1, moment, reply) for moment in moments]


def test_silence_is_the_longest_time_between_two_answers_around_a_fault() -> None:
    calls = answered(1, 2, 3, 8, 9, 10)

    assert list(outages_of(calls, [Fault("frozen", 2.5, 6.0)], 1)) == [Outage("frozen", 3.5, 5.0)]


def test_silence_counts_for_the_fault_in_whose_time_it_began() -> None:
    faults = [Fault("first", 2.0, 4.0), Fault("second", 20.0, 21.0)]

    found = list(outages_of(answered(1, 3, 9, 10, 19, 20.5, 22), faults, 1))

    assert [outage.silent for outage in found] == [9.0, 1.5]


def test_a_refusal_is_no_answer_to_somebody_who_asks_whether_there_is_service() -> None:
    calls = answered(1, 5)
    calls.append(Call("refused", "t1", "connect", 2.9, 3.0, {"outcome": "error"}))

    assert next(outages_of(calls, [Fault("frozen", 1.0, 2.0)], 1)).silent == 4.0


def test_looks_that_show_the_same_are_one_sight() -> None:
    evidence = Evidence()
    row = {"datname": "t1", "pid": 7, "claim": 3, "holder": True}

    for moment in (1.0, 2.0):
        note(evidence, moment, [row])
    note(evidence, 3.0, [])
    note(evidence, 4.0, [])

    shown = [(sight.first, sight.last, set(sight.sessions)) for sight in evidence.sights["t1"]]
    assert shown == [(1.0, 2.0, {Session(7, 3, holder=True)}), (3.0, 4.0, set())]


def test_looks_at_a_process_that_goes_on_are_one_life() -> None:
    evidence = Evidence()

    for moment, pid, frozen in ((1.0, 7, False), (2.0, 7, False), (3.0, 7, True), (4.0, 8, False)):
        count(evidence, "w1", Life(pid, frozen, moment, moment))

    assert evidence.lives["w1"] == [Life(7, False, 1.0, 2.0), Life(7, True, 3.0, 3.0), Life(8, False, 4.0, 4.0)]


@pytest.mark.parametrize("point", POINTS)
def test_every_point_to_die_at_is_there(point: str) -> None:
    owner, method, replacement = dying(point, 1)

    assert vars(owner)[method] is not replacement


def test_a_clock_is_as_wrong_as_its_file_says(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    file.write_text("3600")

    ahead = clock_of(file)() - datetime.now(UTC)

    assert timedelta(minutes=59) < ahead < timedelta(minutes=61)
