"""The smallest run that still fails: only the faults that it takes."""

from __future__ import annotations

from typing import Final

from tests.simulation.faults import draw
from tests.simulation.simulation import Result, simulate
from tests.simulation.variants import provoked_by

RUNS_MAX: Final = 120
"""Runs that making it smaller may take."""


def superfluous(failed: Result, steps: int, broken: str | None = None) -> frozenset[int]:
    """The faults that can be left out, all at once, of a run that failed: it fails without them, if otherwise.

    Args:
        failed: the run.
        steps: its steps with faults.
        broken: its variant.
    """
    without: frozenset[int] = frozenset()
    left = [fault.number for fault in draw(failed.seed, steps, provoked_by(broken)) if fault.step <= failed.steps]
    runs, size = 0, len(left)
    while size and runs < RUNS_MAX:
        for start in range(0, len(left), size):
            fewer = without | set(left[start : start + size])
            runs += 1
            if runs <= RUNS_MAX and simulate(failed.seed, steps, without=fewer, broken=broken).violation is not None:
                without = fewer
        left = [number for number in left if number not in without]
        size = min(size // 2, len(left))
    return without
