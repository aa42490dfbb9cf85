"""Deadlines after a takeover: who owned a partition in peace and let one pass is found, and nobody else."""

from __future__ import annotations

import json
from datetime import timedelta

from tests.chaos.checker import check
from tests.chaos.evidence import Life
from tests.chaos.fold import Log
from tests.chaos.histories import BEGAN, NOON, OTHER, PARTITIONS, Written, right
from tests.chaos.lateness import OVERDUE_S, taken_over

NEWER = 3
"""The claim of the second owner, who holds the partition from its third second on."""

SLEEPER = "t3"
LONG_S = 100.0


def found(written: Written) -> set[str]:
    return {finding.rule for finding in check(written.evidence, PARTITIONS)}


def asleep(until_s: float) -> Written:
    """All is right, a tenant that nobody touches is paused in the eighth second, and its owner lives for long."""
    written = right()
    offset = written.event(SLEEPER, NEWER, "c4", until=(NOON + timedelta(seconds=until_s)).isoformat())
    written.call(SLEEPER, "pause", NEWER, offset, event=offset, at=8.0)
    written.evidence.sleepers.add(SLEEPER)
    written.evidence.lives["w2"] = [Life(1, frozen=False, first=BEGAN, last=BEGAN + LONG_S)]
    shown(written)
    return written


def wakes(written: Written, cause: str = "timer:pause", claim: int = NEWER) -> None:
    written.event(SLEEPER, claim, cause, "connect.resumed")
    shown(written)


def shown(written: Written) -> None:
    written.evidence.watched = Log(written.evidence.events).counting
    written.evidence.watched_until = {0: len(written.evidence.events)}


def seconds_pass(written: Written, until_s: int) -> None:
    """Others' events are appended, one a second."""
    while len(written.evidence.events) < until_s:
        written.event(OTHER, NEWER, f"more-{len(written.evidence.events)}")


def test_a_pause_that_its_owner_lifts_at_its_end_is_right() -> None:
    written = asleep(9.0)

    wakes(written)

    assert found(written) == set()


def test_a_pause_that_its_owner_never_lifts_is_found() -> None:
    assert found(asleep(9.0)) == {"deadline"}


def test_a_pause_whose_end_is_still_to_come_is_right() -> None:
    assert found(asleep(LONG_S)) == set()


def test_a_pause_that_is_lifted_late_is_found() -> None:
    written = asleep(9.0)
    seconds_pass(written, round(9.0 + OVERDUE_S) + 1)

    wakes(written)

    assert found(written) == {"deadline"}


def test_the_time_in_which_a_partition_has_no_owner_does_not_count() -> None:
    written = asleep(9.0)
    seconds_pass(written, 30)
    written.evidence.lives["w2"] = [Life(1, frozen=False, first=BEGAN, last=BEGAN + 9.5)]

    wakes(written)

    assert found(written) == set()


def test_the_time_in_which_an_owner_stands_still_does_not_count() -> None:
    written = asleep(9.0)
    seconds_pass(written, 30)
    lives = (False, 0.0, 9.5), (True, 9.5, 29.0), (False, 29.0, LONG_S)
    written.evidence.lives["w2"] = [Life(1, frozen, BEGAN + first, BEGAN + last) for frozen, first, last in lives]

    wakes(written)

    assert found(written) == set()


def test_an_owner_that_has_let_go_is_not_late() -> None:
    written = asleep(9.0)
    at = (NOON + timedelta(seconds=10)).isoformat()
    line = {"timestamp": at, "event": "partition.released", "partition": 0}
    written.evidence.logs["w2"] = json.dumps(line).encode()

    assert found(written) == set()


def test_who_takes_over_and_does_not_know_of_a_deadline_is_found() -> None:
    written = asleep(30.0)
    written.evidence.lives["w2"] = [Life(1, frozen=False, first=BEGAN, last=BEGAN + 10.0)]
    written.evidence.lives["w3"] = [Life(2, frozen=False, first=BEGAN + 8.0, last=BEGAN + LONG_S)]

    written.claim(3, worker="w3")
    shown(written)

    assert found(written) == {"deadline"}


def test_a_process_that_starts_when_the_owner_dies_does_not_own_what_that_one_claimed() -> None:
    written = asleep(9.0)
    seconds_pass(written, 30)
    lives = (1, 0.0, 3.1), (2, 3.2, LONG_S)
    written.evidence.lives["w2"] = [Life(pid, frozen=False, first=BEGAN + a, last=BEGAN + b) for pid, a, b in lives]

    wakes(written)

    assert found(written) == set()


def test_the_time_in_which_kafka_is_harmed_does_not_count_and_that_of_databases_does() -> None:
    kafka, databases = asleep(9.0), asleep(9.0)
    for written in (kafka, databases):
        written.evidence.upsets.append((BEGAN + 9.0, BEGAN + LONG_S))
    databases.evidence.database_faults.append((BEGAN + 9.0, BEGAN + LONG_S))

    assert found(kafka) == set()
    assert found(databases) == {"deadline"}


def test_a_pause_of_somebody_whom_nobody_touches_must_end_by_its_deadline() -> None:
    written = asleep(LONG_S)

    wakes(written, "c5")

    assert found(written) == {"deadline"}


def test_pauses_that_another_owner_lifts_are_counted() -> None:
    written = asleep(11.0)
    assert taken_over(Log(written.evidence.events)) == 0

    wakes(written, claim=written.claim(3, worker="w3"))

    assert taken_over(Log(written.evidence.events)) == 1
