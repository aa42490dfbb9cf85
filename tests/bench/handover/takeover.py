"""How soon commands are answered again after a worker vanished, by what clients see, with a long log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

from statemachine.commands import Status
from streams.client import ConnectClient
from streams.demo.workers import SESSION_TIMEOUT_MS
from streams.errors import OwnerUnavailable
from streams.kafka.partitioner import partition_of
from streams.topics import Topics
from streams.wire.reply import Reply
from tests.bench.handover.sides import Ours
from tests.bench.recovery import claim, log_of
from tests.bench.workload import Workload, load

BAR_S: Final = SESSION_TIMEOUT_MS / 1000 + 1
"""What is promised: a second more than the group waits for the vanished worker."""

ASK_INTERVAL_S: Final = 0.05
"""How long each partition is left alone between an answer and the next question."""

ASK_TIMEOUT_S: Final = 60.0
"""How long a question may go without an answer."""

READY_TIMEOUT_S: Final = 120.0
LOOK_INTERVAL_S: Final = 0.1

AFTERWARDS_S: Final = 1.0
"""How long answers are waited for once every partition has been taken over."""

WAYS: Final[Mapping[str, Mapping[str, object]]] = {
    "one standby": {"STANDBYS": 1},
    "no standby, snapshots": {"STANDBYS": 0},
    "no standby, no snapshots": {"STANDBYS": 0, "SNAPSHOT_INTERVAL_MS": 0},
}
"""How the survivor may know what the vanished worker knew, and the settings for it."""


class Answer(NamedTuple):
    """When a question was answered, and under which claim."""

    at: float
    claim: int


class Takeover(NamedTuple):
    """What a crash cost.

    Attributes:
        way: how the survivor knew.
        moved: seconds from the crash to the first answer of the next owner, by partition.
        unmoved: longest seconds between two answers, of partitions that the survivor had already.
        unanswered: questions that got no answer.
    """

    way: str
    moved: Mapping[int, float]
    unmoved: Mapping[int, float]
    unanswered: int


@dataclass
class Probe:
    """Asks for the status of one tenant again and again.

    Attributes:
        tenant: whose.
        answers: what came.
        unanswered: questions that got no answer.
    """

    tenant: str
    answers: list[Answer] = field(default_factory=list)
    unanswered: int = 0

    @property
    def claim(self) -> int:
        """The claim of the last answer, -1 before the first."""
        return self.answers[-1].claim if self.answers else -1

    async def ask(self, client: ConnectClient) -> None:
        """Ask until it is cancelled."""
        while True:
            try:
                reply: Reply = await client.send(self.tenant, Status(), timeout_s=ASK_TIMEOUT_S)
            except OwnerUnavailable:
                self.unanswered += 1
            else:
                self.answers.append(Answer(time.monotonic(), -1 if reply.claim is None else reply.claim))
            await asyncio.sleep(ASK_INTERVAL_S)


def prepare(side: Ours, events: int, tenants: int) -> list[str]:
    """Write the log; gives a tenant of each partition."""
    workload = Workload(events, tenants, side.settings.partitions)
    settings, log = side.settings, Topics(side.settings).events
    claim(settings, log)
    load(settings, log, log_of(workload, settings.region, settings.partitions))
    asked = {partition_of(name, settings.partitions): name for name in workload.names()}
    records = [record for record in workload.catalog(settings.region) if record[0] in asked.values()]
    load(settings, Topics(settings).tenants, records)
    return [asked[partition] for partition in range(settings.partitions)]


async def crash(side: Ours, way: str, asked: list[str], settle_s: float) -> Takeover:
    """Two workers share the partitions, and one of them is killed."""
    probes = [Probe(tenant) for tenant in asked]
    first, second = (f"{way.replace(',', '').replace(' ', '-')}-{number}" for number in (1, 2))
    async with _asking(side, probes):
        side.launch(first, **WAYS[way])
        await _until(lambda: all(probe.answers for probe in probes), f"{first} answers")
        before = [probe.claim for probe in probes]
        side.launch(second, **WAYS[way])
        await _until(lambda: _newer(probes, before) == len(probes) // 2, f"{second} answers for its half")
        # Standbys read the log meanwhile, and snapshots are written.
        await asyncio.sleep(settle_s)
        before, at = [probe.claim for probe in probes], time.monotonic()
        side.kill(second)
        await _until(lambda: _newer(probes, before) >= len(probes) // 2, f"{first} answers for all")
        await asyncio.sleep(AFTERWARDS_S)
    side.kill(first)
    return _judged(way, probes, before, at)


def _judged(way: str, probes: list[Probe], before: list[int], at: float) -> Takeover:
    moved, unmoved = {}, {}
    for partition, (probe, held) in enumerate(zip(probes, before, strict=True)):
        newer = [answer.at for answer in probe.answers if answer.claim > held]
        if newer:
            moved[partition] = newer[0] - at
        else:
            marks = [answer.at for answer in probe.answers if answer.at > at - 1]
            unmoved[partition] = max(later - earlier for earlier, later in pairwise(marks))
    return Takeover(way, moved, unmoved, sum(probe.unanswered for probe in probes))


@asynccontextmanager
async def _asking(side: Ours, probes: list[Probe]) -> AsyncIterator[None]:
    async with ConnectClient(side.settings) as client, asyncio.TaskGroup() as group:
        tasks = [group.create_task(probe.ask(client)) for probe in probes]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


def _newer(probes: list[Probe], before: list[int]) -> int:
    return sum(probe.claim > claim for probe, claim in zip(probes, before, strict=True))


async def _until(is_so: Callable[[], bool], what: str) -> None:
    async with asyncio.timeout(READY_TIMEOUT_S):
        while not is_so():  # noqa: ASYNC110  what is waited for comes with the answers of many probes
            await asyncio.sleep(LOOK_INTERVAL_S)
    assert is_so(), what


def row(found: list[Takeover], way: str) -> list[str]:
    """A row of the table: a way, and what was seen of it."""
    moved = [pause for each in found for pause in each.moved.values()]
    unmoved = [pause for each in found for pause in each.unmoved.values()]
    times = [f"{how(pauses):.1f}" if pauses else "-" for pauses in (unmoved, moved) for how in (median, max)]
    return [way, str(len(found)), *times, str(sum(each.unanswered for each in found))]


def document(found: list[Takeover]) -> list[dict[str, Any]]:
    """The figures as JSON, in seconds."""
    return [{"bar_s": BAR_S, **each._asdict()} for each in found]


def measure(
    kafka: str,
    directory: Path,
    *,
    partitions: int,
    events: int,
    tenants: int,
    rounds: int,
    settle_s: float,
    progress: Callable[[str], None],
) -> list[Takeover]:
    """Kill a worker in each way, round after round."""
    side = Ours(kafka, directory, partitions)
    found = []
    try:
        progress(f"writing {events:,} events of {tenants:,} tenants")
        asked = prepare(side, events, tenants)
        for number in range(rounds):
            for way in WAYS:
                progress(f"round {number + 1} of {rounds}: {way}")
                found.append(asyncio.run(crash(side, way, asked, settle_s)))
    finally:
        side.close()
    return found
