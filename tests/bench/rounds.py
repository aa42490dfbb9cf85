"""One round: each side is given the same commands on topics of its own, and is then started anew on what it wrote."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

from confluent_kafka.admin import AdminClient

from streams.settings import Settings
from streams.topics import Topics
from tests.bench import stock
from tests.bench.contender import Contender
from tests.bench.ground import environment, topics
from tests.bench.measure import Rate, Task, Topic, rebuild, throughput
from tests.bench.ours import COMMANDS, REBUILD
from tests.bench.verification import verify_ours, verify_stock
from tests.bench.workload import Keyed, Workload, load

NOTHING: Final = "nothing"
"""The phase that is sampled where none is."""


class Measured(StrEnum):
    """What is measured."""

    DIRECT = "commands decided directly"
    ROUTED = "commands through the router"
    REBUILD = "rebuild"
    STOCK = "stock commands"
    STOCK_REBUILD = "stock rebuild"


class Course(NamedTuple):
    """What all rounds share.

    Attributes:
        kafka: bootstrap servers.
        directory: where processes run.
        workload: what the service is given.
        stock_workload: what the Faust application is given.
        catalog: records of the catalog.
        begun: told what is being measured and out of how many records.
        progress: told how many are done.
        sampled: whether the service's processes are sampled.
    """

    kafka: str
    directory: Path
    workload: Workload
    stock_workload: Workload
    catalog: Sequence[Keyed]
    begun: Callable[[str, int], None]
    progress: Callable[[int], None]
    sampled: bool = False


class Leg:
    """One side's turn in a round: topics under a prefix of their own, processes, figures."""

    def __init__(self, course: Course, name: str) -> None:
        self._course = course
        self._name = name
        self._prefix = f"bench-{secrets.token_hex(4)}"
        variables = environment(course.kafka, self._prefix, course.workload.partitions, f"bench-{name}")
        self._variables = variables
        self.settings = Settings.load({**os.environ, **variables})
        self.topics = Topics(self.settings)

    def samples(self, phase: str) -> Path:
        """Where the samples of a phase are."""
        return self._course.directory / f"{self._prefix}-{phase}.samples"

    def ours(self, *, routed: bool) -> dict[Measured, Rate]:
        """Decide the commands, check the log, and, unless they came through the router, rebuild from it."""
        course, workload = self._course, self._course.workload
        with topics(self.settings) as client:
            if routed:
                load(self.settings, self.topics.tenants, course.catalog)
            target = self.topics.commands if routed else self.topics.region_commands
            load(self.settings, target, workload.stream())
            measured = Measured.ROUTED if routed else Measured.DIRECT
            found = {measured: self._commands(self._worker("commands", COMMANDS), client, self.topics.events, measured)}
            verify_ours(self.settings, self.topics.events, workload, workload.partitions)
            if not routed:
                course.begun(Measured.REBUILD, workload.commands)
                with self._worker("rebuild", REBUILD) as worker:
                    found[Measured.REBUILD] = rebuild(worker.reach("owned"))
            return found

    def stock(self) -> dict[Measured, Rate]:
        """The same with the Faust application."""
        course, workload = self._course, self._course.stock_workload
        events = f"{self._prefix}.{stock.EVENTS}"
        with topics(self.settings) as client:
            load(self.settings, f"{self._prefix}.{stock.COMMANDS}", workload.stream())
            found = {Measured.STOCK: self._commands(self._application("commands"), client, events, Measured.STOCK)}
            verify_stock(self.settings, events, workload)
            course.begun(Measured.STOCK_REBUILD, workload.commands)
            with self._application("rebuild") as application:
                found[Measured.STOCK_REBUILD] = rebuild(application.reach("owned"))
            return found

    def _commands(self, contender: Contender, client: AdminClient, events: str, measured: Measured) -> Rate:
        of_stock = measured is Measured.STOCK
        workload = self._course.stock_workload if of_stock else self._course.workload
        claims = 0 if of_stock else workload.partitions
        self._course.begun(measured, workload.commands)
        topic = Topic(client, events, workload.partitions)
        forwarded = topic._replace(name=self.topics.region_commands) if measured is Measured.ROUTED else None
        with contender:
            task = Task(topic, claims, workload.commands, forwarded)
            return throughput(contender, task, self._course.progress)

    def _worker(self, name: str, phase: str) -> Contender:
        sampled = phase if self._course.sampled else NOTHING
        arguments = (sampled, str(self.samples(phase)))
        return Contender("tests.bench.ours", self._directory(name), arguments, self._variables)

    def _application(self, name: str) -> Contender:
        arguments = (self._course.kafka, self._prefix, str(self._course.workload.partitions))
        return Contender("tests.bench.stock", self._directory(name), arguments)

    def _directory(self, name: str) -> Path:
        return self._course.directory / f"{self._prefix}-{self._name}" / name


def run_round(course: Course, number: int) -> dict[Measured, Rate]:
    """All legs, each round beginning with another one."""
    legs: list[Callable[[], dict[Measured, Rate]]] = [
        lambda: Leg(course, "direct").ours(routed=False),
        lambda: Leg(course, "stock").stock(),
        lambda: Leg(course, "routed").ours(routed=True),
    ]
    turn = number % len(legs)
    found: dict[Measured, Rate] = {}
    for leg in legs[turn:] + legs[:turn]:
        found |= leg()
    return found
