"""What goes wrong: a list of faults drawn from the seed before the world begins, each at a step of its own.

A fault is a number in that list, so that a failing run can be tried without it. Some wait for a worker to be at a
certain point (about to claim, about to hear of an acknowledgement) and hit it there.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.simulation.link import Passage
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
        kind: what happens, a name in `KINDS`.
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


def _crash(world: World, process: Process, fault: Fault) -> None:
    del world, fault
    process.kill()


def _freeze(world: World, process: Process, fault: Fault) -> None:
    process.freeze()
    # From a blink to far past the session timeout.
    world.scheduler.after(3 * world.session_timeout_s * fault.size**2, process.thaw)


def _stop(world: World, process: Process, fault: Fault) -> None:
    del world, fault
    process.request_stop()


def _cut(world: World, process: Process, fault: Fault) -> None:
    process.link.passage = Passage.CUT
    world.scheduler.after(2 * world.session_timeout_s * fault.size**2, _open, process)


def _deafen(world: World, process: Process, fault: Fault) -> None:
    process.link.passage = Passage.DEAF
    world.scheduler.after(2 * world.session_timeout_s * fault.size**2, _open, process)


def _open(process: Process) -> None:
    process.link.passage = Passage.OPEN


def _silence(world: World, process: Process, fault: Fault) -> None:
    """Heartbeats alone are lost: the group gives the worker up, and it works on."""
    process.link.coordinator = Passage.CUT
    world.scheduler.after(2.5 * world.session_timeout_s * fault.size, _speak, process)


def _speak(process: Process) -> None:
    process.link.coordinator = Passage.OPEN


def _jump(world: World, process: Process, fault: Fault) -> None:
    del world
    process.ahead_s += 60 * (fault.size - 0.5) ** 3


def _shuffle(world: World, process: Process, fault: Fault) -> None:
    del process, fault
    world.coordinator.shuffle()


def _throw_out(world: World, process: Process, fault: Fault) -> None:
    del fault
    world.coordinator.leave(process.member)


def _regroup(world: World, process: Process, fault: Fault) -> None:
    """The group is lost and made anew: generations restart, and everything is read again."""
    del process, fault
    for member in world.coordinator.members:
        world.coordinator.leave(member)
    world.coordinator.forget()


def _rewind(world: World, process: Process, fault: Fault) -> None:
    """Commits are lost, and the group assigns anew: what was handled is handed over again."""
    del process
    world.coordinator.shuffle()
    for place, offset in sorted(world.coordinator.committed.items()):
        world.coordinator.committed[place] = max(0, offset - int(12 * fault.size))


def _database_down(world: World, process: Process, fault: Fault) -> None:
    del process
    server = world.server(fault.chance)
    server.fail()
    world.scheduler.after(1.5 * world.recovery_window_s * fault.size, setattr, server, "up", True)


def _database_full(world: World, process: Process, fault: Fault) -> None:
    del process
    server = world.server(fault.chance)
    server.foreign = server.connections_max
    world.scheduler.after(5 * fault.size, setattr, server, "foreign", 0)


def _database_slow(world: World, process: Process, fault: Fault) -> None:
    del process
    server = world.server(fault.chance)
    server.slow = 10 ** (4 * fault.size)
    world.scheduler.after(5 * fault.size, setattr, server, "slow", 1.0)


def _database_cut(world: World, process: Process, fault: Fault) -> None:
    process.link.database = Passage.CUT
    world.scheduler.after(5 * fault.size, setattr, process.link, "database", Passage.OPEN)


def _backend_killed(world: World, process: Process, fault: Fault) -> None:
    del process
    sessions = [session for server in world.servers.values() for session in server.sessions.values()]
    if sessions:
        sessions[int(fault.chance * len(sessions))].end_soon()


def _suspend(world: World, process: Process, fault: Fault) -> None:
    del process
    tenant = world.tenants[int(fault.chance * len(world.tenants))]
    world.catalog.suspend(tenant)
    world.scheduler.after(12 * fault.size, world.catalog.want, tenant)


def _move(world: World, process: Process, fault: Fault) -> None:
    """The tenant moves to another region, and back."""
    del process
    tenant = world.tenants[int(fault.chance * len(world.tenants))]
    world.catalog.move(tenant)
    world.scheduler.after(4 * fault.size, world.catalog.want, tenant)


def _change(world: World, process: Process, fault: Fault) -> None:
    del process
    world.catalog.change(world.tenants[int(fault.chance * len(world.tenants))])


def _blackout(world: World, process: Process, fault: Fault) -> None:
    """Kafka is away for everybody."""
    del process
    for running in world.processes.values():
        running.link.passage = Passage.CUT
        world.scheduler.after(2 * world.session_timeout_s * fault.size**2, _open, running)


def _power_cut(world: World, process: Process, fault: Fault) -> None:
    """The machine goes down: what its disk has not written yet is gone with it."""
    process.kill()
    world.disks[process.name].lose_power(fault.size)


def _disk_full(world: World, process: Process, fault: Fault) -> None:
    disk = world.disks[process.name]
    disk.full = True
    world.scheduler.after(8 * fault.size, setattr, disk, "full", False)


def _disk_lies(world: World, process: Process, fault: Fault) -> None:
    world.disks[process.name].lie(fault.size)


def _disk_damaged(world: World, process: Process, fault: Fault) -> None:
    del fault
    world.disks[process.name].damaged = True


def _disks_swapped(world: World, process: Process, fault: Fault) -> None:
    """Two workers find each other's snapshots when they start again."""
    names = sorted(world.disks)
    other = names[int(fault.chance * len(names))]
    world.disks[process.name], world.disks[other] = world.disks[other], world.disks[process.name]


def _newcomer(world: World, process: Process, fault: Fault) -> None:
    """One worker more, which leaves again."""
    del process
    joined = world.hire()
    if joined is not None:
        world.scheduler.after(10 * fault.size, joined.request_stop)


KINDS: Final[dict[str, Callable[[World, Process, Fault], None]]] = {
    "crash": _crash,
    "freeze": _freeze,
    "stop": _stop,
    "cut": _cut,
    "deafen": _deafen,
    "silence": _silence,
    "jump": _jump,
    "shuffle": _shuffle,
    "throw out": _throw_out,
    "regroup": _regroup,
    "rewind": _rewind,
    "database down": _database_down,
    "database full": _database_full,
    "database slow": _database_slow,
    "database cut": _database_cut,
    "backend killed": _backend_killed,
    "suspend": _suspend,
    "move": _move,
    "change": _change,
    "blackout": _blackout,
    "newcomer": _newcomer,
    "power cut": _power_cut,
    "disk full": _disk_full,
    "disk lies": _disk_lies,
    "disk damaged": _disk_damaged,
    "disks swapped": _disks_swapped,
}
"""Every kind of fault, by its name."""


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
