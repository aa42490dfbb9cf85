"""A protocol with a part taken out is caught, for every part: else the simulation proves nothing."""

from __future__ import annotations

import pytest

from tests.simulation.simulation import simulate
from tests.simulation.variants import VARIANTS, shows

SEEDS_MAX = 40
"""Seeds within which a variant has to be caught; most are within five."""

STEPS = 5_000


@pytest.mark.parametrize("name", VARIANTS)
def test_a_protocol_with_a_part_taken_out_is_caught(name: str) -> None:
    found = (simulate(seed, STEPS, broken=name).violation for seed in range(1, SEEDS_MAX + 1))
    assert any(shows(name, violation) for violation in found)
