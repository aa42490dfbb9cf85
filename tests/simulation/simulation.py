"""One run: a seed becomes a world with faults, then a world that has to settle."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tests.simulation.edges import edges
from tests.simulation.faults import draw
from tests.simulation.settlement import Settlement
from tests.simulation.variants import provoked_by, variant
from tests.simulation.world import Violation, World


class Result(NamedTuple):
    """What came of a run.

    Attributes:
        seed: which one.
        violation: what was wrong, None for nothing.
        steps: steps taken, those of settling included.
        seconds: real time that took.
        virtual_s: virtual time that passed.
        faults: how often each kind of fault happened.
        counts: how much of what happened.
        lines: the schedule, where it was wanted.
    """

    seed: int
    violation: str | None
    steps: int
    seconds: float
    virtual_s: float
    faults: dict[str, int]
    counts: dict[str, int]
    lines: list[str]


def simulate(
    seed: int,
    steps: int,
    *,
    without: frozenset[int] = frozenset(),
    broken: str | None = None,
    schedule: bool = False,
) -> Result:
    """Run one seed.

    Args:
        seed: decides everything.
        steps: steps with faults; settling comes on top.
        without: numbers of faults that are left out.
        broken: a variant of the protocol, by its name in `tests.simulation.variants`; None for the real one.
        schedule: whether to write down what happened.
    """
    drawn = [fault for fault in draw(seed, steps, provoked_by(broken)) if fault.number not in without]
    with edges(), variant(broken), _undisturbed():
        started = time.perf_counter()
        world = World(seed, drawn)
        if schedule:
            world.scheduler.lines = []
        violation = None
        try:
            world.begin()
            while world.scheduler.steps < steps:
                world.step()
            Settlement(world).run()
        except Violation as found:
            violation = str(found)
        finally:
            seconds = time.perf_counter() - started
            world.close()
    return Result(
        seed,
        violation,
        world.scheduler.steps,
        seconds,
        world.scheduler.now,
        world.faults.happened,
        _counts(world),
        world.scheduler.lines or [],
    )


def _counts(world: World) -> dict[str, int]:
    ledgers = world.ledgers.partitions.values()
    return {
        "events": sum(len(offsets) for ledger in ledgers for offsets in ledger.offsets.values()),
        "void": world.ledgers.void,
        "claims": sum(len(ledger.claims) for ledger in ledgers),
        "commands": len(world.asked),
        "replies": world.answers.checked,
        "sessions": world.sessions.opened,
        "rows": sum(map(len, world.rows.delivered.values())),
        "rows dropped": world.rows.dropped,
        "deadlines": world.ledgers.deadlines_kept,
        "snapshots": sum(disk.written for disk in world.disks.values()),
        "lives": sum(world._lives.values()),
    }


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Garbage is collected between runs: when it is must not depend on what else is in memory."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
