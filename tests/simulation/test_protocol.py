"""Whatever goes wrong, the protocol holds: a bounded part of what `make simulate` runs for as long as one likes."""

from __future__ import annotations

import pytest

from tests.simulation.seeds import SEEDS
from tests.simulation.simulation import simulate

FRESH = range(500, 520)
STEPS = 2_500


@pytest.mark.parametrize("seed", FRESH)
def test_whatever_goes_wrong_the_protocol_holds_and_everything_settles(seed: int) -> None:
    result = simulate(seed, STEPS)
    assert result.violation is None, f"make simulate SEED={seed} STEPS={STEPS}"


@pytest.mark.parametrize(("seed", "steps", "found"), SEEDS, ids=[str(seed) for seed, *_ in SEEDS])
def test_what_was_found_once_is_not_found_again(seed: int, steps: int, found: str) -> None:
    result = simulate(seed, steps)
    assert result.violation is None, f"make simulate SEED={seed} STEPS={steps}; it once found: {found}"


def test_the_world_is_a_busy_one() -> None:
    results = [simulate(seed, STEPS) for seed in FRESH[:6]]
    counts = {name: sum(result.counts[name] for result in results) for name in results[0].counts}
    assert all(number for name, number in counts.items() if name != "rows dropped"), counts
    assert len({kind for result in results for kind in result.faults}) > 10
