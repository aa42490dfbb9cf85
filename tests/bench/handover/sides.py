"""The two that are measured: workers of this service, and processes of a plain Faust application."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

from statemachine.events import Claimed
from streams.demo.workers import SESSION_TIMEOUT_MS, installed_command
from streams.devstack.process import wait_until
from streams.history import History
from streams.kafka.clients import consumer_configuration
from streams.log.reader import open_consumer, read, stretch
from streams.settings import Settings
from streams.settings.theme import PREFIX
from streams.topics import Topics
from tests.bench import stock
from tests.bench.contender import Contender
from tests.bench.ground import environment, topics
from tests.bench.handover.pauses import Claim, Claims, Times

READY_TIMEOUT_S: Final = 60.0
"""How long a process may take to own its first partition."""

STOP_TIMEOUT_S: Final = 30.0


class Found(NamedTuple):
    """What stands on a topic of events.

    Attributes:
        events: times of the events that count.
        claims: the claims that count, where there are such.
        written: commands that led to one of these events.
        twice: commands that led to more than one.
    """

    events: Times
    claims: Claims
    written: int
    twice: int = 0


class Side(ABC):
    """Processes that share the partitions of one topic of commands.

    Args:
        kafka: bootstrap servers.
        directory: where they run.
        partitions: of every topic.

    Attributes:
        settings: of the topics.
        commands: the topic that they read.
    """

    name: str
    commands: str
    events: str

    def __init__(self, kafka: str, directory: Path, partitions: int) -> None:
        prefix = f"bench-{secrets.token_hex(4)}"
        self.variables = environment(kafka, prefix, partitions, "bench")
        self.settings = Settings.load(self.variables)
        self._directory = directory / prefix
        self._directory.mkdir()
        self._processes: dict[str, Any] = {}
        self._held = ExitStack()
        self._held.enter_context(topics(self.settings))

    @abstractmethod
    def start(self, worker: str) -> None:
        """Start a process, and return when it takes part."""

    @abstractmethod
    def stop(self, worker: str) -> None:
        """Ask a process to end, and return when it has."""

    def found(self) -> Found:
        """What was written."""
        events: defaultdict[int, list[float]] = defaultdict(list)
        with open_consumer(consumer_configuration(self.settings, "bench")) as consumer:
            logs = [stretch(consumer, self.events, partition) for partition in range(self.settings.partitions)]
            for record in read(consumer, self.events, logs):
                events[record.partition].append(record.timestamp_ms / 1000)
        for times in events.values():
            times.sort()
        return Found(events, {}, sum(map(len, events.values())))

    def _end_all(self, end: Callable[[str], None]) -> None:
        for worker in tuple(self._processes):
            end(worker)

    def close(self) -> None:
        """End what still runs, and take the topics away."""
        self._held.close()


class Ours(Side):
    """Workers of this service."""

    name = "tenant-connect"

    def __init__(self, kafka: str, directory: Path, partitions: int) -> None:
        super().__init__(kafka, directory, partitions)
        self.commands, self.events = Topics(self.settings).region_commands, Topics(self.settings).events
        self._held.callback(self._end_all, self.kill)

    def start(self, worker: str) -> None:
        """Start a worker, and return when it made a claim."""
        claims = self._claims()
        self.launch(worker)
        assert wait_until(lambda: self._claims() > claims, READY_TIMEOUT_S), f"{worker} took no partition"

    def launch(self, worker: str, **settings: object) -> None:
        """Start a worker, with some settings otherwise."""
        changed: dict[str, object] = {
            "WORKER_NAME": worker,
            "DATA_DIR": str(self._directory),
            "SESSION_TIMEOUT_MS": SESSION_TIMEOUT_MS,
        }
        changed |= settings
        variables = {**os.environ, **self.variables, **{f"{PREFIX}{name}": str(to) for name, to in changed.items()}}
        with (self._directory / f"{worker}.log").open("ab") as log:
            self._processes[worker] = subprocess.Popen(  # noqa: S603  this installation's own
                [*installed_command(), "worker"], env=variables, stdout=log, stderr=log
            )

    def stop(self, worker: str) -> None:
        """Ask a worker to end."""
        process = self._processes.pop(worker)
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_TIMEOUT_S)

    def kill(self, worker: str) -> None:
        """Let a worker vanish."""
        process = self._processes.pop(worker)
        process.kill()
        process.wait(STOP_TIMEOUT_S)

    def found(self) -> Found:
        """What was written and counts."""
        events: defaultdict[int, list[float]] = defaultdict(list)
        claims: defaultdict[int, list[Claim]] = defaultdict(list)
        causes: Counter[str] = Counter()
        for entry in History(self.settings).entries():
            at = entry.timestamp_ms / 1000
            if not entry.counts:
                continue
            if isinstance(entry.event, Claimed):
                claims[entry.partition].append(Claim(at, entry.event.worker))
            else:
                events[entry.partition].append(at)
                causes[entry.event.causation] += 1
        for times in events.values():
            times.sort()
        return Found(events, claims, len(causes), sum(times > 1 for times in causes.values()))

    def _claims(self) -> int:
        return sum(map(len, self.found().claims.values()))


class Stock(Side):
    """Processes of the plain Faust application."""

    name = "stock Faust"

    def __init__(self, kafka: str, directory: Path, partitions: int) -> None:
        super().__init__(kafka, directory, partitions)
        prefix = self.settings.topic_prefix
        self.commands, self.events = f"{prefix}.{stock.COMMANDS}", f"{prefix}.{stock.EVENTS}"
        self._arguments = (kafka, prefix, str(partitions))
        self._held.callback(self._end_all, self.stop)

    def start(self, worker: str) -> None:
        """Start a process, and return when it recovered its table."""
        process = Contender(stock.__name__, self._directory / worker, self._arguments)
        process.__enter__()
        self._processes[worker] = process
        process.reach("owned")

    def stop(self, worker: str) -> None:
        """Ask a process to end."""
        self._processes.pop(worker).__exit__(None, None, None)


SIDES: Mapping[str, Callable[[str, Path, int], Side]] = {Ours.name: Ours, Stock.name: Stock}
