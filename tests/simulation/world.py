"""The simulated world: brokers, a group, databases, clients, a catalog, and workers that come and go."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Sequence
from typing import Final

from streams.catalog.crypto import Cipher, new_key
from streams.catalog.entry import ReplicationMode
from streams.kafka.partitioner import partition_of
from streams.registry.partition import OwnedPartition
from streams.service.limits import terms_of
from streams.topics import Topics
from tests.simulation.answers import Answers
from tests.simulation.broker import Broker
from tests.simulation.callers import Asked, Caller
from tests.simulation.catalog import HERE, Catalog
from tests.simulation.disk import Disk
from tests.simulation.faults import Fault, Faults
from tests.simulation.gateways import Gateway
from tests.simulation.group import Coordinator
from tests.simulation.ledger import Ledger, Ledgers
from tests.simulation.postgres import Server
from tests.simulation.process import Life, Process
from tests.simulation.rows import Rows
from tests.simulation.scheduler import Scheduler
from tests.simulation.sessions import Sessions
from tests.simulation.shape import PARTITIONS, settings_of, shape_of

WORKERS: Final = ("w1", "w2", "w3")
NEWCOMER: Final = "w4"
SERVERS: Final = 2
GATEWAYS: Final = 2
MODES: Final = (ReplicationMode.DURABLE, ReplicationMode.DURABLE, ReplicationMode.OFF, ReplicationMode.TEMPORARY)
CONNECTIONS_MAX: Final = 60
REST_S_MAX: Final = 1.5
"""How long a worker that ended stays away, at most, in seconds."""

CUT_SOCKET_S_MAX: Final = 2.0
"""How long a database takes to notice that a client's machine is gone, at most, in seconds."""

LOOK_INTERVAL_STEPS: Final = 200
"""Steps between two looks at what is not looked at when it changes."""


class Violation(Exception):
    """Something that must never be."""


class World:
    """Everything there is in one run.

    Args:
        seed: decides everything.
        drawn: the faults that are going to happen.

    Attributes:
        violation: what was found to be wrong first, None while nothing is.
    """

    def __init__(self, seed: int, drawn: Sequence[Fault]) -> None:
        key = new_key()
        self._settings = {name: settings_of(name, key) for name in (*WORKERS, NEWCOMER)}
        settings = self._settings[WORKERS[0]]
        self.topics = Topics(settings)
        self.session_timeout_s = settings.session_timeout_ms / 1000
        self.recovery_window_s = settings.database_recovery_window_ms / 1000
        self.partitions = PARTITIONS
        self.terms = terms_of(settings)._replace(platform_region=HERE)
        self.violation: Violation | None = None
        self.shape = shape_of(seed)
        self.scheduler = Scheduler(seed, self.shape.impatience)
        self.broker = Broker(self.scheduler, self.shape.records_max)
        self.coordinator = Coordinator(self.scheduler, PARTITIONS, self.session_timeout_s, 2 * self.session_timeout_s)
        self.servers = {
            name: Server(self.scheduler, name, CONNECTIONS_MAX) for name in (f"db{i}" for i in range(SERVERS))
        }
        self.tenants = tuple(f"t{i}" for i in range(self.shape.tenants))
        self.catalog = Catalog(self.broker, self.topics.tenants, Cipher(settings.encryption_keys), self.place_of)
        self.asked: dict[str, Asked] = {}
        self.ledgers = Ledgers(self.scheduler, self.topics.events, self.violated)
        self.answers = Answers(self, self.asked, self.violated)
        self.sessions = Sessions(self, self.violated)
        self.callers = [Caller(self, number) for number in range(self.shape.clients)]
        self.gateways = [Gateway(self, number) for number in range(GATEWAYS)]
        self.rows = Rows(self)
        self.faults = Faults(self, drawn)
        self.disks = {name: Disk() for name in self._settings}
        self.processes: dict[str, Process] = {}
        self.ended_processes: list[Process] = []
        self.taken: dict[tuple[int, int], str] = {}
        self._lives: dict[str, int] = {}

    def __str__(self) -> str:
        return "world"

    def begin(self) -> None:
        """Put everything in its place and let everybody start."""
        self.broker.watchers[self.topics.events].append(self.ledgers.appended)
        self.broker.watchers[self.topics.replies].append(self.answers.appended)
        for caller in self.callers:
            self.broker.watchers[self.topics.replies].append(caller.told)
        self.broker.watchers[self.topics.broadcasts].append(self.rows.broadcast)
        for number, tenant in enumerate(self.tenants):
            self.catalog.put(tenant, f"db{number % SERVERS}", MODES[number % len(MODES)])
        for name in WORKERS:
            self.start(name)
        for caller in self.callers:
            caller.think()
        for gateway in self.gateways:
            self.scheduler.soon(gateway.report)
        self.scheduler.soon(self.rows.commit)

    def step(self) -> None:
        """Let one thing happen, and look whether all is as it must be.

        Raises:
            Violation: it is not.
        """
        scheduler = self.scheduler
        scheduler.step()
        if scheduler.steps == self.faults.next_step:
            self.faults.begin()
        if scheduler.steps % LOOK_INTERVAL_STEPS == 0:
            self.sessions.look()
        if self.violation is not None:
            raise self.violation

    def violated(self, problem: str) -> None:
        """Something is wrong: the run ends with this step."""
        if self.violation is None:
            self.scheduler.say(f"!!! {problem}")
            self.violation = Violation(problem)

    def place_of(self, tenant: str) -> int:
        """The partition of a tenant."""
        return partition_of(tenant, self.partitions)

    def ledger_of(self, tenant: str) -> Ledger:
        """What the log says of the tenant's partition."""
        return self.ledgers.partitions[self.place_of(tenant)]

    def server(self, chance: float) -> Server:
        """One of the servers."""
        return self.servers[f"db{int(chance * SERVERS)}"]

    def process(self, chance: float) -> Process | None:
        """One of the running processes, None where there is none."""
        running = [process for process in self.processes.values() if process.life is Life.RUNNING]
        return running[int(chance * len(running))] if running else None

    def passes(self, process: Process, point: str) -> None:
        """A process is at a point that faults may wait for."""
        self.faults.passes(process, point)

    def start(self, name: str) -> Process:
        """A worker begins a new life."""
        life = self._lives[name] = self._lives.get(name, 0) + 1
        ahead_s = self.scheduler.random.uniform(-0.5, 0.5)
        process = self.processes[name] = Process(self, name, life, self._settings[name], ahead_s)
        self.scheduler.say(f"{process} starts")
        return process

    def hire(self) -> Process | None:
        """One worker more, None where it is there already."""
        return None if NEWCOMER in self.processes else self.start(NEWCOMER)

    def ended(self, process: Process) -> None:
        """A process is gone: its sockets are closed, and its supervisor starts it again."""
        self.scheduler.say(f"{process} is gone")
        self.ended_processes.append(process)
        if self.processes.get(process.name) is process:
            del self.processes[process.name]
        chance = self.scheduler.random
        for server in self.servers.values():
            for session in list(server.sessions.values()):
                if session.link is process.link:
                    self.scheduler.after(CUT_SOCKET_S_MAX * chance.random() ** 3, session.ended)
        if process.name in WORKERS:
            self.scheduler.after(REST_S_MAX * chance.random(), self._start_again, process.name)

    def took(self, process: Process, owned: OwnedPartition) -> None:
        """A worker owns a partition now: nobody else does under that claim, and it knows all that counts."""
        if process.life is Life.DEAD:
            return
        number, claim = owned.state.partition, owned.claim
        ledger = self.ledgers.partitions[number]
        self.scheduler.say(f"{process} owns partition {number} under claim {claim.offset}")
        other = self.taken.setdefault((number, claim.offset), process.member)
        if other != process.member:
            self.violated(f"{process} and {other} own partition {number} under claim {claim.offset}")
        if claim not in ledger.claims:
            self.violated(f"{process} owns partition {number} under {claim}, which does not count")
        if owned.state.folded < claim.offset:
            self.violated(f"{process} read partition {number} to {owned.state.folded} and claimed it at {claim.offset}")
        if owned.state.tenants != ledger.tenants_at(owned.state.folded):
            place = f"partition {number}, offset {owned.state.folded}"
            self.violated(f"{process} owns {place}, with a state that is not the log's there")

    def heal(self) -> None:
        """Nothing goes wrong any more, and what went wrong is mended."""
        self.scheduler.say("*** everything is mended")
        self.faults.end()
        for process in list(self.processes.values()):
            process.heal()
        for server in self.servers.values():
            server.up, server.slow, server.foreign = True, 1.0, 0
        for disk in self.disks.values():
            disk.full = False

    def close(self) -> None:
        """End everything, without a word."""
        with warnings.catch_warnings():
            # Coroutines that were never begun are nothing to speak of in a process that was killed.
            warnings.simplefilter("ignore", RuntimeWarning)
            for process in [*self.ended_processes, *self.processes.values()]:
                process.life = Life.DEAD
                process.link.dead = True
                process.loop.close()
            self.ended_processes.clear()
            self.processes.clear()
            gc.collect()

    def _start_again(self, name: str) -> None:
        if name not in self.processes:
            self.start(name)
