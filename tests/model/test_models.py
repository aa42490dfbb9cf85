"""The models in bounded sizes: the protocol holds, and every rule that is left out is missed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.model.catalogue import BROKEN, SITUATIONS, SMALL
from tests.model.exploration import Exploration
from tests.model.report import story
from tests.model.spin import MODELS, explore, missing_tools

_MISSING: Final = missing_tools()

pytestmark = [
    pytest.mark.skipif(
        bool(_MISSING),
        reason=f"the models need {' and '.join(_MISSING)}; on Debian: apt-get install spin gcc libc6-dev",
    ),
    pytest.mark.timeout(300),
]


def _title(exploration: Exploration) -> str:
    return exploration.title


@pytest.mark.parametrize("exploration", SMALL, ids=_title)
def test_every_promise_holds(exploration: Exploration, tmp_path: Path) -> None:
    finding = explore(exploration, tmp_path)
    assert finding.answers(exploration), "\n".join(story(exploration, finding))


@pytest.mark.parametrize("exploration", BROKEN, ids=_title)
def test_a_rule_that_is_left_out_is_missed(exploration: Exploration, tmp_path: Path) -> None:
    finding = explore(exploration, tmp_path)
    assert finding.answers(exploration), "\n".join(story(exploration, finding))
    assert finding.steps


@pytest.mark.parametrize("exploration", SITUATIONS, ids=_title)
def test_the_explorations_come_through(exploration: Exploration, tmp_path: Path) -> None:
    finding = explore(exploration, tmp_path)
    assert finding.answers(exploration), "\n".join(story(exploration, finding))


def test_every_rule_that_the_models_can_break_is_broken_here() -> None:
    offered = {
        line.split()[1]
        for model in MODELS.rglob("*.pml")
        for line in model.read_text().splitlines()
        if line.startswith(" *   ") and line.split()[1].isupper() and "_" in line.split()[1]
    }
    assert offered == {exploration.broken for exploration in BROKEN}
