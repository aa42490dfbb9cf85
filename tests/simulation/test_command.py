"""`make simulate`: seeds until one fails, and how to have that one again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.simulation.__main__ import main

STEPS = "400"
BROKEN = "reply before the acknowledgement"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_seeds_that_hold_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "2", "--steps", STEPS]) == 0
    assert re.search(r"2 seeds, [\d,]+ steps, [\d,]+ a second, [\d,]+ events, all well", capsys.readouterr().out)


def test_one_seed_writes_its_schedule_down(tmp_path: Path) -> None:
    assert main(["--seed", "3", "--steps", STEPS]) == 0
    assert len((tmp_path / ".cache/simulation/3.txt").read_text().splitlines()) > int(STEPS)


def test_a_seed_that_fails_says_how_to_have_it_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "20", "--steps", "2000", "--broken", BROKEN]) == 1
    found = re.search(
        r'Again: make simulate SEED=(\d+) STEPS=2000(?: WITHOUT=([\d,]+))? BROKEN="', capsys.readouterr().out
    )
    assert found is not None
    seed, without = found.groups(default="")
    assert main(["--seed", seed, "--steps", "2000", "--without", without, "--broken", BROKEN]) == 1
