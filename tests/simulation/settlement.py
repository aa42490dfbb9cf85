"""After the faults: everything that was wanted has to come about, within a bound, and everybody has to agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from statemachine import PartitionState, deadlines
from statemachine.commands import Connect, PauseTenant, ResumeTenant
from statemachine.machines import Lifecycle, Replication
from statemachine.state import ReplicationMode
from streams.errors import LogCorrupt
from streams.registry.partition import fold_records
from streams.wire.command import Request, Unreadable, decode_command
from streams.wire.reply import Reply
from tests.simulation.callers import Caller
from tests.simulation.process import START, Process

if TYPE_CHECKING:
    from tests.simulation.world import World

SETTLE_S: Final = 120.0
"""How long settling may take, in virtual seconds: some session timeouts, recovery windows and pauses."""

LOOK_EVERY_STEPS: Final = 250
"""Steps between two looks whether all has settled."""

ROWS_UNDERWAY_MAX: Final = 5
"""Rows of a tenant that may be on their way to its readers."""

DEADLINES_S: Final = 25.0
"""Deadlines this close are waited for: pauses and recovery windows, and clocks that were set."""

COMMAND_BYTES_MAX: Final = 1_000_000

PROBLEMS_NAMED_MAX: Final = 6
"""Problems that a message names."""

AGAIN_S: Final = 0.5
"""How soon a client that was refused asks again."""


class Settlement:
    """Brings a world to rest.

    Args:
        world: which one; its faults are over.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._ready: set[str] = set()

    def __str__(self) -> str:
        return "settlement"

    def run(self) -> None:
        """Let things happen until all has settled; the world's violation is set if it does not."""
        world = self._world
        world.heal()
        for caller in world.callers:
            caller.patient = caller.idle = True
        for gateway in world.gateways:
            gateway.idle = True
        # First what was begun comes to its end, with every deadline that was open; only then is anything wanted.
        self._until(self._unfinished)
        for tenant in world.tenants:
            world.catalog.want(tenant)
        self._until(self._waiting)
        for gateway in world.gateways:
            gateway.everybody = True
        world.scheduler.soon(self._bring_up)
        self._until(self._unsettled)
        for problem in self._disagreements():
            world.violated(problem)
        if world.violation is not None:
            raise world.violation

    def _until(self, problems: Callable[[], Iterator[str]]) -> None:
        """Let things happen until there are no problems."""
        due = self._world.scheduler.now + SETTLE_S
        while found := list(islice(problems(), PROBLEMS_NAMED_MAX)):
            if self._world.scheduler.now > due:
                self._world.violated(f"not settled after {SETTLE_S:.0f} s without faults: {'; '.join(found)}")
            for _ in range(LOOK_EVERY_STEPS):
                self._world.step()

    def _bring_up(self) -> None:
        """Whoever has nothing to wait for brings a tenant up; each tenant is brought up by one of them."""
        left = [tenant for tenant in self._world.tenants if tenant not in self._ready]
        for caller, tenant in zip(self._world.callers, left, strict=False):
            if caller.waiting is None:
                self._resume(caller, tenant)
        if left:
            self._world.scheduler.after(AGAIN_S, self._bring_up)

    def _resume(self, caller: Caller, tenant: str) -> None:
        def connect(_: Reply) -> None:
            caller.ask(tenant, Connect(timeout_ms=2_000), note)

        def note(reply: Reply) -> None:
            if reply.outcome == "ok":
                self._ready.add(tenant)

        caller.ask(tenant, ResumeTenant(), connect)

    # What is not settled yet

    def _waiting(self) -> Iterator[str]:
        for caller in self._world.callers:
            if caller.waiting is not None:
                yield f"{caller} waits for {caller.waiting.request}"

    def _unfinished(self) -> Iterator[str]:
        unwanted = self._world.catalog.unwanted
        for caller in self._world.callers:
            # Who asks for a tenant that another region serves is not answered here.
            if caller.waiting is not None and caller.waiting.request.tenant not in unwanted:
                yield f"{caller} waits for {caller.waiting.request}"
        yield from self._unowned()
        yield from self._unread()
        yield from self._open_deadlines()
        for tenant in sorted(self._world.catalog.unwanted):
            state = self._world.ledger_of(tenant).state(tenant)
            if state.lifecycle is not Lifecycle.ABSENT:
                yield f"{tenant} is {state.lifecycle.value}, and the catalog does not want it"

    def _unsettled(self) -> Iterator[str]:
        yield from self._unwanted()
        yield from self._unfinished()
        yield from self._world.sessions.left_over()
        yield from self._unstreamed()

    def _unwanted(self) -> Iterator[str]:
        for tenant in self._world.tenants:
            state = self._world.ledger_of(tenant).state(tenant)
            if tenant not in self._ready or state.lifecycle is not Lifecycle.READY:
                yield f"{tenant} is {state.lifecycle.value}, {state.stop}"

    def _unstreamed(self) -> Iterator[str]:
        for tenant in self._world.tenants:
            state = self._world.ledger_of(tenant).state(tenant)
            if state.replication not in {Replication.OFF, Replication.STREAMING}:
                yield f"the rows of {tenant} are {state.replication.value}"
            missing = self._world.rows.missing(tenant)
            if state.mode is ReplicationMode.DURABLE and len(missing) > ROWS_UNDERWAY_MAX:
                yield f"rows of {tenant} are missing: {missing[:8]}"

    def _unowned(self) -> Iterator[str]:
        owners: dict[int, list[Process]] = {}
        for process in self._world.processes.values():
            for number, owned in _owned(process).items():
                ledger = self._world.ledgers.partitions[number]
                if not owned.lost.is_set() and owned.claim in ledger.claims[-1:]:
                    owners.setdefault(number, []).append(process)
                if owned.state.tenants != ledger.tenants_at(owned.state.folded):
                    yield f"{process} is ahead of the log in partition {number}"
            for number, owner in _owners(process).items():
                if owner._waiters._waiting:
                    yield f"{process} keeps callers of partition {number} waiting"
        for number in range(self._world.partitions):
            if len(owners.get(number, [])) != 1:
                yield f"partition {number} is owned by {owners.get(number, 'nobody')}"

    def _unread(self) -> Iterator[str]:
        world = self._world
        for topic in (world.topics.commands, world.topics.region_commands):
            for partition in range(world.partitions):
                # What was committed may have been lost; whoever has handled it does not commit it twice.
                done = max(world.coordinator.committed.get((topic, partition), 0), self._finished(topic, partition))
                if done < world.broker.end(topic, partition):
                    yield f"{topic}:{partition} is handled to {done} of {world.broker.end(topic, partition)}"

    def _finished(self, topic: str, partition: int) -> int:
        return max((_progress(process).committable((topic, partition)) or 0 for process in self._working()), default=0)

    def _working(self) -> list[Process]:
        return [process for process in self._world.processes.values() if process.worker is not None]

    def _open_deadlines(self) -> Iterator[str]:
        soon = START + timedelta(seconds=self._world.scheduler.now + DEADLINES_S)
        for tenant in self._world.tenants:
            for name, due in deadlines(self._world.ledger_of(tenant).state(tenant)).items():
                if due < soon:
                    yield f"{name.value} of {tenant} is due at {due}"

    # What must agree in the end

    def _disagreements(self) -> Iterator[str]:
        yield from self._lost_commands()
        for partition in range(self._world.partitions):
            yield from self._readers(partition)

    def _lost_commands(self) -> Iterator[str]:
        """A pause without an end always leads to an event: one that was written and has none was lost."""
        topics, moved = self._world.topics, self._world.catalog.moved
        for request, place in (*self._pauses(topics.commands), *self._pauses(topics.region_commands)):
            # What is asked of a tenant while another region serves it is left to that region.
            if request.tenant not in moved and request.id not in self._world.ledgers.outcomes:
                yield f"the pause {request.id} of {request.tenant} at {place} was lost"

    def _pauses(self, topic: str) -> Iterator[tuple[Request, str]]:
        for partition in range(self._world.partitions):
            for stored in self._world.broker.partitions[topic, partition]:
                place = f"{topic}:{partition}:{stored.offset}"
                with suppress(Unreadable):
                    request = decode_command(
                        stored.key, stored.value, place, value_bytes_max=COMMAND_BYTES_MAX, forwarded=True
                    )
                    # One whose end has passed when it is read is refused.
                    if isinstance(request.command, PauseTenant) and request.command.until is None:
                        yield request, place

    def _readers(self, partition: int) -> Iterator[str]:
        """Readers that read in pieces, and again what they know, come to the same."""
        world = self._world
        ledger = world.ledgers.partitions[partition]
        records: list[Any] = list(world.broker.partitions[world.topics.events, partition])
        chance = world.scheduler.random
        state = PartitionState(partition)
        try:
            while state.folded < len(records) - 1:
                start = max(0, state.folded + 1 - int(5 * chance.random()))
                fold_records(state, "events", records[start : start + 1 + int(60 * chance.random())])
        except LogCorrupt as error:
            yield f"a reader of partition {partition} stops: {error}"
            return
        if state.tenants != ledger.tenants_at(len(records)):
            yield f"a reader of partition {partition} comes to another state"
        if ledger.claims and state.claim != ledger.claims[-1]:
            yield f"a reader of partition {partition} holds {state.claim} for its claim"


def _owned(process: Process) -> dict[int, Any]:
    return {} if process.worker is None else process.worker._registry.owned


def _progress(process: Process) -> Any:
    worker: Any = process.worker
    return worker._engine._simulated.progress


def _owners(process: Process) -> dict[int, Any]:
    return {} if process.worker is None else process.worker._owners._owners
