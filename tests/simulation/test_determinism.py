"""A seed decides everything: a failing run can be had again, in another process and at another time."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from types import ModuleType

import pytest

import streams.kafka.clients
from tests.simulation.faults import draw
from tests.simulation.minimal import superfluous
from tests.simulation.simulation import simulate

SEEDS = (2, 7, 11)
STEPS = 1_500
DEADLINE_S = 60

DIGESTS = """
from tests.simulation.test_determinism import digests
print(digests())
"""


def digests() -> str:
    """What happened in a few worlds, as a word."""
    results = [simulate(seed, STEPS, schedule=True) for seed in SEEDS]
    return hashlib.sha256("\n".join(line for result in results for line in result.lines).encode()).hexdigest()


def _elsewhere(hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(  # noqa: S603  our own interpreter, our own words
        [sys.executable, "-c", DIGESTS], env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    "client",
    [(streams.kafka.clients, "Producer"), (streams.kafka.clients, "Consumer"), (streams.kafka.clients, "AdminClient")],
)
def test_a_simulated_world_reaches_no_real_broker(
    client: tuple[ModuleType, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    monkeypatch.setattr(*client, lambda *given, **_: made.append(given))
    assert simulate(3, STEPS).violation is None
    assert made == []


def test_a_seed_leads_to_the_same_schedule_in_every_process() -> None:
    here = digests()
    assert {digests(), _elsewhere("1"), _elsewhere("2")} == {here}


def test_writing_the_schedule_down_changes_nothing() -> None:
    silent, written = simulate(SEEDS[0], STEPS), simulate(SEEDS[0], STEPS, schedule=True)
    assert silent.lines == []
    assert written.lines
    assert (silent.steps, silent.virtual_s, silent.counts) == (written.steps, written.virtual_s, written.counts)


def test_a_failing_run_is_made_smaller_and_still_fails() -> None:
    broken = "reply before the acknowledgement"
    failed = next(result for seed in range(1, 20) if (result := simulate(seed, STEPS, broken=broken)).violation)
    without = superfluous(failed, STEPS, broken)
    again = simulate(failed.seed, STEPS, without=without, broken=broken)
    assert again.violation is not None
    assert len(without) == len([fault for fault in draw(failed.seed, STEPS) if fault.step <= failed.steps])
