"""Playing a round: tenants and workers are made ready, things go wrong under load, and what is left is gathered."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple

from statemachine.commands import Connect, Wait
from streams.client import ConnectClient
from streams.history.audit import verify
from streams.settings import Settings
from tests.chaos.collecting import collect
from tests.chaos.evidence import Evidence
from tests.chaos.load import Load
from tests.chaos.outages import Outage, outages_of
from tests.chaos.ownership import ClaimReader
from tests.chaos.place import Place
from tests.chaos.recovery import recovered
from tests.chaos.sleepers import put_to_sleep, woken
from tests.chaos.stage import HEALED_S, LOOK_INTERVAL_S, READY_S, Fault, Nemesis, Say, Stage
from tests.chaos.tenants import Cast, Numbers, gather
from tests.chaos.watching import census, hear, left, sample, watch, watched_to_the_end
from tests.chaos.workers import Crew

BEFORE_S: Final = 2.0
"""Load before the first fault."""

AFTER_S: Final = 1.0
"""Load after everything works again."""

DROP_SLOTS: Final = """
select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = $1 and not active
"""

CONNECT_MS: Final = 50_000


@dataclass(frozen=True, slots=True)
class Script:
    """What is played.

    Attributes:
        name: the round's.
        nemesis: what goes wrong.
        seed: decides everything that chance decides here; what processes make of it is theirs.
        numbers: of tenants.
        rate: commands a second, besides those that ask whether anybody answers.
        workers: how many there are in the beginning.
        words: for every worker, see `tests.chaos.worker`.
        patience_s: how long everything may take to work again.
    """

    name: str
    nemesis: Nemesis
    seed: int
    numbers: Numbers
    rate: float
    workers: int = 2
    words: tuple[str, ...] = ()
    patience_s: float = HEALED_S


@dataclass(frozen=True, slots=True)
class Played:
    """A round that was played.

    Attributes:
        evidence: what it left behind.
        faults: what went wrong.
        outages: how long nobody answered.
        ended: workers that ended by themselves, by exit code.
        skipped: what this machine cannot do.
        problem: why it could not be played to its end, None where it was.
    """

    evidence: Evidence
    faults: list[Fault]
    outages: list[Outage]
    ended: Counter[int]
    skipped: list[str]
    problem: str | None


async def play(place: Place, script: Script, say: Say = lambda _: None) -> Played:
    """Play one round.

    Args:
        place: where.
        script: what.
        say: shows a line.
    """
    settings = await asyncio.to_thread(place.region, script.name.lower())
    evidence = Evidence()
    cast = await gather(place, settings, script.numbers, evidence)
    reader = ClaimReader(settings)
    crew = Crew(settings, place.directory / "workers" / settings.topic_prefix, reader.claims)
    problem: str | None = None
    reader.start()
    try:
        for number in range(script.workers):
            crew.hire(*script.words, **({"kafka": place.grey} if number == 0 and place.grey else {}))
        await crew.all_owned(READY_S)
        await crew.shared(READY_S)
        async with _staged(Scenery(place, settings, crew, cast, evidence), script, say) as stage:
            try:
                await _act(stage, script.nemesis)
            except (TimeoutError, AssertionError) as error:
                problem = str(error)
        await crew.stop()
        evidence.sessions_left = await left(place.server) & {*cast.real, *cast.newcomers}
    finally:
        crew.kill()
        await asyncio.to_thread(reader.stop)
    await asyncio.to_thread(collect, settings, evidence, crew)
    report = await asyncio.to_thread(verify, settings)
    evidence.audit = [f"{each.code} at {each.partition}:{each.offset}: {each.message}" for each in report.findings]
    evidence.endings = [ending for worker in crew.workers for ending in worker.endings.noted]
    ended = sum((worker.ended for worker in crew.workers), Counter[int]())
    outages = list(outages_of(evidence.calls, stage.faults, settings.partitions))
    await _drop(place, cast)
    return Played(evidence, stage.faults, outages, ended, stage.skipped, problem)


class Scenery(NamedTuple):
    """What a stage is made of."""

    place: Place
    settings: Settings
    crew: Crew
    cast: Cast
    evidence: Evidence


@asynccontextmanager
async def _staged(scenery: Scenery, script: Script, say: Say) -> AsyncIterator[Stage]:
    """The stage with everybody on it; in the end all that was asked is answered, or given up."""
    place, settings, crew, cast, evidence = scenery
    chance = random.Random(script.seed)
    async with AsyncExitStack() as stack:
        first, second = [await stack.enter_async_context(ConnectClient(settings)) for _ in range(2)]
        load = Load((first, second), cast, place.server, evidence, script.rate, chance)
        looking = [asyncio.create_task(look) for look in (sample(place.server, evidence), census(crew, evidence))]
        onlookers = [asyncio.create_task(look(first, evidence)) for look in (watch, hear)]
        stage = Stage(place, settings, crew, cast, load, evidence, chance, say, script.patience_s)
        try:
            yield stage
        finally:
            load.stop()
            await watched_to_the_end(settings, evidence)
            for task in looking:
                task.cancel()
            await asyncio.gather(*looking, return_exceptions=True)
    await asyncio.gather(*onlookers)


async def _act(stage: Stage, nemesis: Nemesis) -> None:
    # Rows are promised from the first answer on, so nobody waits for streams before writing.
    wanted = _wanted(stage.cast, Wait.READY)
    connected = await asyncio.gather(*(stage.load.ask(*asked, timeout_s=READY_S) for asked in wanted))
    refused = [call.error or call.reply for call in connected if not call.ok]
    assert not refused, f"before anything went wrong: {refused[0]}"
    working = asyncio.gather(stage.load.run(stage.settings.partitions), put_to_sleep(stage))
    try:
        await asyncio.sleep(BEFORE_S)
        await nemesis(stage)
        if stage.place.network is not None:
            await stage.place.network.heal()
        stage.say("  everything is mended")
        await stage.serving()
        await asyncio.sleep(AFTER_S)
    finally:
        stage.load.stop()
        await working
    await _settled(stage)


def _wanted(cast: Cast, durable: Wait) -> list[tuple[str, Connect]]:
    """What everybody with a database is to be."""
    held = [(tenant, Connect(Wait.READY, CONNECT_MS)) for tenant in cast.held]
    return held + [(tenant, Connect(durable, CONNECT_MS)) for tenant in cast.durable]


async def _settled(stage: Stage) -> None:
    """All is back by itself, what is wanted works when asked for, and what was committed has arrived."""
    await recovered(stage)
    await woken(stage)
    wanted = _wanted(stage.cast, Wait.STREAMING)
    for call in await asyncio.gather(*(stage.load.ask(*asked, timeout_s=stage.patience_s) for asked in wanted)):
        assert call.ok, f"{call.tenant} is not as wanted after everything was mended: {call.error or call.reply}"
    deadline = time.monotonic() + stage.patience_s
    while not _arrived(stage.evidence) and time.monotonic() < deadline:  # noqa: ASYNC110  other tasks hear them
        await asyncio.sleep(LOOK_INTERVAL_S)


def _arrived(evidence: Evidence) -> bool:
    """Whether every row that was committed has been heard."""
    return all(
        committed <= {row.id for row in evidence.delivered[tenant]} for tenant, committed in evidence.committed.items()
    )


async def _drop(place: Place, cast: Cast) -> None:
    """Take the databases away: the next round has its own."""
    session = await place.server.superuser_connection()
    try:
        for tenant in (*cast.real, *cast.newcomers):
            await session.execute(DROP_SLOTS, tenant)
            await session.execute(f'drop database "{tenant}" with (force)')
    finally:
        await session.close()
