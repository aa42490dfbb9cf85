"""Workers that end: those who had leave to are let be, and those who had not are found."""

from __future__ import annotations

from pathlib import Path
from signal import SIGKILL

import pytest

from tests.chaos.checker import check
from tests.chaos.endings import ENDINGS_PER_FAULT_MAX, SOON_S, Endings
from tests.chaos.evidence import Ending, Hit
from tests.chaos.histories import BEGAN, PARTITIONS, right

HARMED = Hit("w1", BEGAN, BEGAN + 10.0)
LOST = Ending("w1", BEGAN + 11.0, 1, said="ownership_lost")


def found(*endings: Ending, hits: tuple[Hit, ...] = (HARMED,)) -> list[str]:
    evidence = right().evidence
    evidence.endings += endings
    evidence.hits += hits
    findings = check(evidence, PARTITIONS)
    assert {finding.rule for finding in findings} <= {"ending"}
    return [finding.what for finding in findings]


def noted(tmp_path: Path, *lines: str, words: tuple[str, ...] = (), code: int = 1) -> list[Ending]:
    log = tmp_path / "log"
    log.write_text("wait_expired: this was the process before\n")
    endings = Endings("w1", log)
    endings.begin(words, log.stat().st_size)
    with log.open("a") as more:
        more.writelines(f"{line}\n" for line in lines)
    endings.note(code)
    return endings.noted


@pytest.mark.parametrize("worker", ["w1", None])
def test_who_was_harmed_and_says_why_may_end(worker: str | None) -> None:
    assert found(LOST, hits=(HARMED._replace(worker=worker),)) == []


def test_who_was_not_harmed_may_not_end() -> None:
    assert found(LOST, hits=()) != []
    assert found(LOST, hits=(HARMED._replace(worker="w2"),)) != []


def test_who_was_harmed_long_ago_or_later_may_not_end() -> None:
    assert found(LOST._replace(at=HARMED.ended + SOON_S + 1)) != []
    assert found(LOST._replace(at=HARMED.began - 1)) != []


@pytest.mark.parametrize(("code", "said"), [(3, None), (1, "log_corrupt"), (-11, None), (-SIGKILL, None), (0, None)])
def test_who_does_not_say_why_or_names_another_error_may_not_end(code: int, said: str | None) -> None:
    assert found(LOST._replace(code=code, said=said)) != []


def test_who_ends_over_and_over_after_one_fault_is_found() -> None:
    more = [LOST._replace(at=LOST.at + number) for number in range(ENDINGS_PER_FAULT_MAX + 1)]

    assert found(*more[:-1]) == []
    assert len(found(*more)) == 1


def test_who_was_told_to_die_may_do_so() -> None:
    assert found(Ending("w1", BEGAN, -SIGKILL, died=True), hits=()) == []


def test_who_is_asked_to_stop_ends_with_0_and_in_time() -> None:
    assert found(Ending("w1", BEGAN, 0, asked=True), hits=()) == []
    assert found(Ending("w1", BEGAN, None, asked=True)) != []
    assert found(Ending("w1", BEGAN, 1, asked=True, said="ownership_lost")) != []


def test_what_a_worker_said_last_is_noted_and_not_what_one_said_before_it(tmp_path: Path) -> None:
    failed = '{"timestamp": "2030-01-01T12:00:00Z", "level": "error", "event": "worker.failed", "code": "log_corrupt"}'

    assert [ending.said for ending in noted(tmp_path, "kafka_unreachable: it was away", failed)] == ["log_corrupt"]
    assert [ending.said for ending in noted(tmp_path, failed, "consumer_silent: for long", "→ look")] == [
        "consumer_silent"
    ]
    assert [ending.said for ending in noted(tmp_path)] == [None]


def test_who_dies_at_a_point_is_told_from_who_is_killed_without_that(tmp_path: Path) -> None:
    assert [ending.died for ending in noted(tmp_path, words=("--die-at", "produced:1"), code=-SIGKILL)] == [True]
    assert [ending.died for ending in noted(tmp_path, words=("--die-at", "produced:1"), code=3)] == [False]
    assert [ending.died for ending in noted(tmp_path, code=-SIGKILL)] == [False]


def test_who_is_killed_from_outside_has_not_ended_unless_it_had_before(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    endings = Endings("w1", log)
    endings.begin((), 0)

    endings.kill(None)
    endings.note(-SIGKILL)
    assert endings.noted == []

    endings.begin((), 0)
    endings.kill(3)
    assert [ending.code for ending in endings.noted] == [3]
