"""``python -m tests.simulation``: many seeds, or one with its schedule; see ``--help``."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.simulation.minimal import superfluous
from tests.simulation.simulation import Result, simulate
from tests.simulation.variants import VARIANTS

STEPS: Final = 6_000
LINES_SHOWN: Final = 60
"""Lines of a failing run's schedule that are shown; the file has all of them."""

SCHEDULES: Final = Path(".cache/simulation")
"""Where schedules of failing runs are kept."""

REPORT_EVERY: Final = 100
"""Seeds between two lines that say how it goes."""

FAULT: Final = "***"
"""What stands before a fault in a schedule."""


def main(words: Sequence[str] | None = None) -> int:
    """Run what the arguments say; 1 where a run failed."""
    arguments = _arguments(words)
    if arguments.seed is not None:
        return _one(arguments.seed, arguments)
    return _many(arguments)


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--steps", type=int, default=STEPS, help="steps with faults in each run")
    parser.add_argument("--seed", type=int, help="run this one alone, and write its schedule down")
    parser.add_argument("--without", type=_numbers, default=frozenset(), help="numbers of faults to leave out")
    parser.add_argument("--broken", choices=sorted(VARIANTS), help="a variant of the protocol that must be caught")
    parser.add_argument("--whole", action="store_true", help="leave a failing run as it is, however long")
    return parser.parse_args(words)


def _numbers(text: str) -> frozenset[int]:
    return frozenset(int(number) for number in text.split(",") if number)


def _many(arguments: argparse.Namespace) -> int:
    steps, seconds, events = 0, 0.0, 0
    faults = Counter[str]()
    for count, seed in enumerate(range(arguments.first, arguments.first + arguments.seeds), 1):
        result = simulate(seed, arguments.steps, broken=arguments.broken)
        steps, seconds, events = steps + result.steps, seconds + result.seconds, events + result.counts["events"]
        faults.update(result.faults)
        if result.violation is not None:
            _show(result, arguments)
            return 1
        if count % REPORT_EVERY == 0 or count == arguments.seeds:
            _say(f"{count} seeds, {steps:,} steps, {steps / seconds:,.0f} a second, {events:,} events, all well")
    _say("faults: " + ", ".join(f"{kind} {number}" for kind, number in sorted(faults.items())))
    return 0


def _one(seed: int, arguments: argparse.Namespace) -> int:
    result = simulate(seed, arguments.steps, without=arguments.without, broken=arguments.broken, schedule=True)
    _keep(result)
    _say(f"seed {seed}: {result.violation or 'all well'}; {result.steps} steps, {result.virtual_s:.0f} virtual seconds")
    _say(f"{result.counts}")
    return 0 if result.violation is None else 1


def _show(failed: Result, arguments: argparse.Namespace) -> None:
    """Print a failing run as small as it gets, and how to have it again."""
    _say(f"seed {failed.seed} fails after {failed.steps} steps: {failed.violation}")
    without, steps = arguments.without, arguments.steps
    if not arguments.whole:
        without = superfluous(failed, steps, arguments.broken)
    again = simulate(failed.seed, steps, without=without, broken=arguments.broken, schedule=True)
    path = _keep(again)
    _say("\n".join([*(line for line in again.lines if FAULT in line), "…", *again.lines[-LINES_SHOWN:]]))
    _say(f"\n{again.violation}\nThe whole schedule is in {path}.")
    left_out = f" WITHOUT={','.join(map(str, sorted(without)))}" if without else ""
    broken = f' BROKEN="{arguments.broken}"' if arguments.broken else ""
    _say(f"Again: make simulate SEED={failed.seed} STEPS={steps}{left_out}{broken}")


def _keep(result: Result) -> Path:
    SCHEDULES.mkdir(parents=True, exist_ok=True)
    path = SCHEDULES / f"{result.seed}.txt"
    path.write_text("\n".join(result.lines) + "\n", encoding="utf-8")
    return path


def _say(text: str) -> None:
    sys.stdout.write(f"{text}{os.linesep}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
