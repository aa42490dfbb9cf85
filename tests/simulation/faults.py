"""What goes wrong: a list of faults drawn from the seed before the world begins, each at a step of its own.

A fault is a number in that list, so that a failing run can be tried without it. Some wait for a worker to be at a
certain point (about to claim, about to hear of an acknowledgement) and hit it there.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.simulation.calamities import KINDS
from tests.simulation.process import Life, Process

if TYPE_CHECKING:
    from tests.simulation.world import World

STEPS_PER_FAULT: Final = 130
"""Steps between two faults, on average."""

POINTS: Final = (
    "assigned",
    "claim",
    "recovered",
    "write events",
    "write replies",
    "write region",
    "hear events",
    "ask for ends",
    "read back",
    "commit",
    "write snapshot",
    "connect realtime_connect",
    "connect realtime_connect_probe",
)
"""Where a worker can be hit; the prefix of what it passes."""


class Fault(NamedTuple):
    """One thing that goes wrong.

    Attributes:
        number: its place in the list.
        step: when it is due.
        kind: what happens, a name in `tests.simulation.calamities.KINDS`.
        point: where a worker has to be for it, None for anywhere.
        chance: from 0 to 1; picks who it happens to.
        size: from 0 to 1; how long or how much.
    """

    number: int
    step: int
    kind: str
    point: str | None
    chance: float
    size: float

    def __str__(self) -> str:
        where = f" at {self.point!r}" if self.point else ""
        return f"fault {self.number}: {self.kind}{where}, size {self.size:.2f}"


def draw(seed: int, steps: int, kinds: Sequence[str] = ()) -> list[Fault]:
    """The faults of a run: which kinds prevail differs from seed to seed.

    Args:
        seed: decides.
        steps: within which they come.
        kinds: no others than these, where any are given.
    """
    chance = random.Random(f"faults {seed}")
    weights = [chance.random() ** 3 * (not kinds or kind in kinds) for kind in KINDS]
    targeted = chance.random()
    count = int(steps / STEPS_PER_FAULT * chance.uniform(0.2, 1.8))
    moments = sorted(chance.randrange(1, steps) for _ in range(count))
    return [
        Fault(
            number,
            step,
            chance.choices(list(KINDS), weights)[0],
            chance.choice(POINTS) if chance.random() < targeted else None,
            chance.random(),
            chance.random(),
        )
        for number, step in enumerate(moments)
    ]


class Faults:
    """Lets the faults of a run happen.

    Args:
        world: to whom.
        drawn: the faults, in the order of their steps.

    Attributes:
        next_step: when the next one is due.
        happened: how often each kind did.
    """

    def __init__(self, world: World, drawn: Sequence[Fault]) -> None:
        self.happened: dict[str, int] = {}
        self._world = world
        self._due = list(reversed(drawn))
        self._armed: list[Fault] = []
        self.next_step = self._due[-1].step if self._due else 0

    def begin(self) -> None:
        """The fault that is due happens, or waits for its point."""
        while self._due and self._due[-1].step <= self._world.scheduler.steps:
            fault = self._due.pop()
            if fault.point is None:
                self._happen(fault, self._world.process(fault.chance))
            else:
                self._armed.append(fault)
        self.next_step = self._due[-1].step if self._due else 0

    def passes(self, process: Process, point: str) -> None:
        """A worker is at a point that faults may wait for."""
        for fault in self._armed:
            if fault.point is not None and point.startswith(fault.point):
                self._armed.remove(fault)
                self._happen(fault, process)
                return

    def end(self) -> None:
        """Nothing more goes wrong."""
        self._due.clear()
        self._armed.clear()
        self.next_step = 0

    def _happen(self, fault: Fault, process: Process | None) -> None:
        if process is None or process.life is not Life.RUNNING:
            return
        self.happened[fault.kind] = self.happened.get(fault.kind, 0) + 1
        self._world.scheduler.say(f"*** {fault}, {process}")
        KINDS[fault.kind](self._world, process, fault)
