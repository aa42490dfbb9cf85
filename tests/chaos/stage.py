"""The stage of a round: a region with its workers and tenants, under load, and what a nemesis may do to it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from statemachine.commands import Status
from streams.kafka.partitioner import partition_of
from streams.settings import Settings
from tests.chaos.evidence import Evidence, Hit
from tests.chaos.load import Load
from tests.chaos.place import Place
from tests.chaos.tenants import Cast
from tests.chaos.workers import Crew, Worker

READY_S: Final = 60.0
HEALED_S: Final = 60.0
"""How long everything may take to work again after the last fault."""

LOOK_INTERVAL_S: Final = 0.1

Say = Callable[[str], None]


class Fault(NamedTuple):
    """Something that went wrong.

    Attributes:
        kind: what.
        began: when, seconds since 1970.
        ended: when it was over, or healed.
        owned: how many partitions those owned who were hit, at the time; None where no owner was meant.
        became: what became of who was hit, where that was looked at.
    """

    kind: str
    began: float
    ended: float
    owned: int | None = None
    became: str = ""


class Aim:
    """Whom a fault hits while it lasts.

    Args:
        crew: those it may be.

    Attributes:
        owned: how many partitions they owned when they were hit; None where no owner is meant.
        became: what became of them.
        victims: their names.
    """

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self.owned: int | None = None
        self.became = ""
        self.victims: list[str] = []

    def at(self, worker: Worker) -> None:
        """This one is hit now."""
        self.victims.append(worker.name)
        self.owned = (self.owned or 0) + len(self._crew.owned_by(worker))


@dataclass(slots=True)
class Stage:
    """What a nemesis takes hold of.

    Attributes:
        place: broker, server, network.
        settings: the region's.
        crew: its workers.
        cast: its tenants.
        load: what is asked and written.
        evidence: what is left behind.
        chance: decides what goes wrong when.
        say: shows a line.
        patience_s: how long everything may take to work again.
        faults: what went wrong so far.
        skipped: what this machine cannot do.
    """

    place: Place
    settings: Settings
    crew: Crew
    cast: Cast
    load: Load
    evidence: Evidence
    chance: random.Random
    say: Say
    patience_s: float = HEALED_S
    faults: list[Fault] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @contextmanager
    def fault(self, kind: str, *victims: Worker, database: bool = False, workers: bool = False) -> Iterator[Aim]:
        """Something is wrong for as long as it is entered.

        Args:
            kind: what.
            victims: it is meant for these, who own something.
            database: databases are harmed: sessions may be others afterwards.
            workers: nothing but processes of workers is harmed: all others go on as they did.
        """
        aim = Aim(self.crew)
        for victim in victims:
            aim.at(victim)
        began = time.time()
        self.say(f"  {kind}" + ("" if aim.owned is None else f" (owns {aim.owned})"))
        try:
            yield aim
        finally:
            self.faults.append(Fault(kind, began, time.time(), aim.owned, aim.became))
            everybody = [] if workers or database else [None]
            self.evidence.hits += [Hit(each, began, time.time()) for each in aim.victims or everybody]
            if aim.owned == 0:
                self.evidence.unmet.append(kind)
            if not workers:
                self.evidence.upsets.append((began, time.time()))
            if database:
                # What was lost is opened again later.
                self.evidence.database_faults.append((began, time.time() + HEALED_S))

    async def owner(self) -> Worker:
        """One of the workers, by chance, once each of them owns something.

        Raises:
            TimeoutError: some own nothing.
        """
        await self.shared()
        return self.crew.owner(self.chance.random())

    async def shared(self) -> None:
        """Return when every worker owns something.

        Raises:
            TimeoutError: some own nothing.
        """
        await self.crew.shared(self.patience_s)

    async def serving(self) -> None:
        """Return when somebody answers for every partition, asked from now on.

        Raises:
            TimeoutError: for some partition nobody does.
        """
        partitions = self.settings.partitions
        by_partition = {partition_of(tenant, partitions): tenant for tenant in self.cast.everybody}

        async def answers(tenant: str) -> None:
            while not (await self.load.ask(tenant, Status(), timeout_s=self.patience_s)).ok:  # noqa: ASYNC110  it asks
                await asyncio.sleep(LOOK_INTERVAL_S)

        try:
            async with asyncio.timeout(self.patience_s):
                await asyncio.gather(*map(answers, by_partition.values()))
        except TimeoutError:
            tails = "\n".join(f"{worker.name}: {worker.tail[-1500:]}" for worker in self.crew.workers)
            problem = f"not every partition is served {self.patience_s:.0f} s after a fault:\n{tails}"
            raise TimeoutError(problem) from None

    async def pause(self, least: float, most: float) -> None:
        """Let the load go on for a while."""
        await asyncio.sleep(self.chance.uniform(least, most))


Nemesis = Callable[[Stage], Awaitable[None]]
