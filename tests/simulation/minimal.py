"""The smallest run that still fails: fewer steps, and only the faults that it takes."""

from __future__ import annotations

from typing import Final

from tests.simulation.faults import draw
from tests.simulation.simulation import Result, simulate

RUNS_MAX: Final = 120
"""Runs that making it smaller may take."""


def minimal(failed: Result, steps: int, broken: str | None = None) -> tuple[frozenset[int], int]:
    """The faults that can be left out, and the steps that are enough.

    Args:
        failed: a run that failed.
        steps: its steps with faults.
        broken: its variant.
    """
    steps = min(steps, failed.steps)
    kinds = _kind(failed.violation)
    runs = 0

    def still_fails(without: frozenset[int]) -> bool:
        nonlocal runs
        runs += 1
        return _kind(simulate(failed.seed, steps, without=without, broken=broken).violation) == kinds

    without: frozenset[int] = frozenset()
    left = [fault.number for fault in draw(failed.seed, steps)]
    size = len(left)
    while size and runs < RUNS_MAX:
        for start in range(0, len(left), size):
            fewer = without | set(left[start : start + size])
            if fewer != without and runs < RUNS_MAX and still_fails(fewer):
                without = fewer
        left = [number for number in left if number not in without]
        size //= 2
    return without, steps


def _kind(violation: str | None) -> str | None:
    """What went wrong, without who and where."""
    return violation and "".join(letter for letter in violation if not letter.isdigit())[:40]
