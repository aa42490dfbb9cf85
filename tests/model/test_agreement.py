"""The code's fold judges the logs of random executions of the model as the model does."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from statemachine.events import Claimed, ConnectPaused, Event
from statemachine.partition import PartitionState, Verdict
from tests.model.exploration import Exploration, Model
from tests.model.spin import missing_tools, wander

SEEDS: Final = range(150)

COUNT_MIN: Final = 10
"""Records of each verdict that there must be in all, for agreement on nothing is none."""

_MISSING: Final = missing_tools()

pytestmark = pytest.mark.skipif(
    bool(_MISSING),
    reason=f"the models need {' and '.join(_MISSING)}; on Debian: apt-get install spin gcc libc6-dev",
)

_RESTLESS: Final = {"GENERATIONS": 6, "CRASHES": 2, "SCRIPT": 7, "LOG_LENGTH": 15}
"""Many assignments of few commands, which leave much that is void."""

_WANDERINGS: Final = {
    "one group": Exploration("one group", Model.OWNERSHIP, _RESTLESS),
    "a group made anew": Exploration("a group made anew", Model.OWNERSHIP, {**_RESTLESS, "GROUPS": 2}),
}

_CLAIM: Final = re.compile(r"broker: offset (\d+): worker (\d+) claims, generation (\d+), term (\d+)( \(void\))?$")
_EVENT: Final = re.compile(
    r"broker: offset (\d+): worker \d+'s event, sequence (\d+), claim (\d+), command (\d+)( \(void\))?$"
)


def _record(step: str, state: PartitionState) -> tuple[int, Claimed | Event, Verdict] | None:
    """Offset, record, and the model's verdict, where the step is a record that reaches the log."""
    if (claim := _CLAIM.match(step)) is not None:
        offset, worker, generation, term = (int(number) for number in claim.groups()[:4])
        return offset, Claimed(f"worker-{worker}", generation, term), Verdict.VOID if claim[5] else Verdict.APPLIED
    if (event := _EVENT.match(step)) is not None:
        offset, sequence, under, command = (int(number) for number in event.groups()[:4])
        previous = state.tenant("t").hash
        data = ConnectPaused("", "", None)
        record = Event(
            "t", data, sequence, datetime.now(UTC), under, f"c{command}", command, None, previous, f"h{offset}"
        )
        return offset, record, Verdict.VOID if event[5] else Verdict.APPLIED
    return None


@pytest.mark.parametrize("exploration", _WANDERINGS.values(), ids=_WANDERINGS)
def test_the_fold_judges_every_record_as_the_model_does(exploration: Exploration, tmp_path: Path) -> None:
    verdicts = {Verdict.VOID: 0, Verdict.APPLIED: 0}
    for seed in SEEDS:
        state = PartitionState(0)
        for step in wander(exploration, seed, tmp_path):
            found = _record(step, state)
            if found is not None:
                offset, record, verdict = found
                assert state.fold(offset, record) is verdict, f"seed {seed}: {step}"
                verdicts[verdict] += 1
    assert all(count >= COUNT_MIN for count in verdicts.values()), verdicts
