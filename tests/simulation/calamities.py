"""Every kind of thing that can go wrong, as what it does to the world."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tests.simulation.link import Passage
from tests.simulation.process import Process

if TYPE_CHECKING:
    from tests.simulation.faults import Fault
    from tests.simulation.world import World


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


def _unasked(world: World, process: Process, fault: Fault) -> None:
    """Nobody answers where partitions end; everything else goes on."""
    process.link.questions = Passage.CUT
    world.scheduler.after(2 * world.session_timeout_s * fault.size, setattr, process.link, "questions", Passage.OPEN)


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
    "unasked": _unasked,
}
"""Every kind of fault, by its name."""
