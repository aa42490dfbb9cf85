"""What the program ends with, and that two of them do not share a directory."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.chaos.directories import DirectoryTaken, alone_in
from tests.chaos.evidence import Evidence, Finding
from tests.chaos.play import Played
from tests.chaos.verdicts import LEFT_OUT, WELL, WRONG, Verdict, exit_code, left_out

LOST = Finding("lost", "t1", "a command")
VOID = Finding("void", "t1", "an answer")


def verdict(
    *findings: Finding, unfenced: bool = False, problem: str | None = None, skipped: tuple[str, ...] = ()
) -> Verdict:
    played = Played(Evidence(), [], [], Counter(), list(skipped), problem)
    return Verdict("F1", 1, 1.0, played, list(findings), unfenced)


def code(*verdicts: Verdict, allow_left_out: bool = False) -> int:
    return exit_code(verdicts, allow_left_out=allow_left_out)


def test_rounds_in_which_nothing_is_wrong_are_well() -> None:
    assert code(verdict(), verdict()) == WELL


def test_one_finding_or_a_round_that_could_not_be_played_is_wrong() -> None:
    assert code(verdict(), verdict(LOST)) == WRONG
    assert code(verdict(problem="nobody answers")) == WRONG


def test_a_missing_fence_is_well_when_found_out_and_wrong_when_missed() -> None:
    assert code(verdict(VOID, unfenced=True, problem="nobody answers")) == WELL
    assert code(verdict(unfenced=True)) == WRONG
    assert code(verdict(unfenced=True, problem="nobody answers")) == WRONG
    assert code(verdict(LOST, unfenced=True)) == WRONG
    assert "MISSED" in verdict(unfenced=True).word


def test_faults_that_were_left_out_are_named_and_are_no_success_unless_they_may_be() -> None:
    partly = verdict(skipped=("a full disk",))

    assert list(left_out([verdict(), partly])) == ["F1: a full disk"]
    assert code(verdict(), partly) == LEFT_OUT
    assert code(verdict(), partly, allow_left_out=True) == WELL
    assert code(verdict(LOST), partly, allow_left_out=True) == WRONG


def test_a_directory_in_which_rounds_are_played_is_refused_until_they_are_over(tmp_path: Path) -> None:
    with alone_in(tmp_path / "kept"), pytest.raises(DirectoryTaken, match="already"), alone_in(tmp_path / "kept"):
        pass

    with alone_in(tmp_path / "kept"):
        assert (tmp_path / "kept").is_dir()
