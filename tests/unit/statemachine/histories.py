"""Random histories: what is asked of tenants and when, and several workers who write to one partition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from statemachine import PartitionState, Rejection, TenantState, Terms, decide, fold
from statemachine.commands import (
    Command,
    Connect,
    EffectFailed,
    PartitionFailed,
    PartitionMade,
    PauseTenant,
    Report,
    ResumeTenant,
    Retry,
    Shutdown,
    StreamFailed,
    UsersCounted,
    Wait,
)
from statemachine.events import Claimed, Event
from statemachine.machines import DatabaseHealth, Lifecycle, Occupancy, Replication
from statemachine.partition import Claim
from statemachine.state import ReplicationMode, StopReason
from tests.support.scenario import START, TERMS, cause_of, following
from tests.unit.statemachine.situations import ASKED, PAUSED_UNTIL, REPORTS, TODAY, TOMORROW, YESTERDAY

Record = Claimed | Event

MODEST: Final = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
"""Enough examples to meet most pairs of events, few enough to run with every change. A busy machine is no failure."""

TENANTS: Final = ("t1", "t2")
WORKERS: Final = 3
STEPS_MIN: Final = 20
STEPS_MAX: Final = 60
FIRST_GENERATION: Final = 3

delays = st.sampled_from(
    [timedelta(0), timedelta(0), timedelta(seconds=1), timedelta(minutes=9), timedelta(minutes=11), timedelta(hours=2)]
)
surroundings = st.sampled_from(
    [TERMS, TERMS, TERMS._replace(users=2), TERMS._replace(users=None), TERMS._replace(failures_max=1)]
)
"""Nobody uses the tenant; somebody does; that is not known; and one failed connect is one too many."""

tenants = st.sampled_from(TENANTS)
days = st.sampled_from([YESTERDAY, TODAY, TOMORROW])
questions_when_ready: st.SearchStrategy[Command | Report] = st.one_of(
    st.builds(StreamFailed, st.just("StartReplicationFailed"), st.just("no slot"), chance=st.floats(0, 1)),
    st.builds(UsersCounted, st.integers(0, 2), st.sampled_from([None, START, PAUSED_UNTIL])),
    st.builds(PartitionFailed, days, st.just("no room")),
    st.builds(PartitionMade, days),
    st.sampled_from(
        [ASKED[name] for name in ("stream_started", "gap_found", "connection_lost", "connection_restored")]
    ),
    st.just(ASKED["retry"]),
)
"""What changes a tenant that is ready and leaves it so."""

questions: st.SearchStrategy[Command | Report] = st.one_of(
    st.sampled_from(list(ASKED.values())),
    st.sampled_from(list(REPORTS.values())),
    st.builds(Connect, wait=st.sampled_from(Wait)),
    st.builds(Shutdown, reason=st.sampled_from(StopReason)),
    st.builds(PauseTenant, author=st.just("ada"), until=st.sampled_from([None, START, PAUSED_UNTIL])),
    st.builds(replace, st.just(REPORTS["check_passed"]), replication=st.sampled_from(ReplicationMode)),
    st.builds(EffectFailed, st.sampled_from(StopReason), st.none(), st.just("what was tried")),
    questions_when_ready,
)
"""Anything that can be asked."""

Question = Command | Report | None
questions_or_none: st.SearchStrategy[Question] = st.one_of(st.none(), st.none(), questions)
"""None stands for what brings the tenant on from where it is: random questions alone seldom get far."""


def onward(state: TenantState) -> Command | Report:
    """The question that brings a tenant on."""
    match state.lifecycle:
        case Lifecycle.ABSENT:
            return _freed(state)
        case Lifecycle.CHECKING:
            return ASKED["check_passed"]
        case Lifecycle.PROVISIONING:
            return ASKED["provision_done"]
        case Lifecycle.READY:
            return _mended(state)
        case Lifecycle.STOPPING:
            return ASKED["connection_closed"]


def _freed(state: TenantState) -> Command:
    if state.pause is not None:
        return ResumeTenant()
    return Connect() if state.retry_at is None else Retry()


def _mended(state: TenantState) -> Report:
    """What mends a ready tenant; where nothing is to be mended, what breaks it."""
    if state.database is DatabaseHealth.RECOVERING:
        return REPORTS["connection_restored"]
    if state.replication in (Replication.STARTING, Replication.WAITING):
        return REPORTS["stream_started"]
    if state.occupancy is Occupancy.UNKNOWN:
        return REPORTS["somebody_came"]
    return REPORTS["stream_failed" if state.replication is Replication.STREAMING else "connection_lost"]


class Ask(NamedTuple):
    """A worker decides a question about a tenant and writes the event, whoever owns the partition by then."""

    worker: int
    tenant: str
    question: Question
    delay: timedelta
    terms: Terms


class Take(NamedTuple):
    """A worker claims the partition and reads it up to its claim.

    Attributes:
        worker: which.
        generation: by how much its generation is above the one of the claim that counts.
        term: the same for its term.
    """

    worker: int
    generation: int = 1
    term: int = 0


workers = st.integers(0, WORKERS - 1)
asks = st.builds(Ask, workers, tenants, questions_or_none, delays, surroundings)
takes = st.builds(Take, workers, st.sampled_from([1, 1, 0, -1, -5]), st.sampled_from([0, 0, 0, 1, -1]))
steps = st.one_of(asks, asks, asks, asks, takes)
courses = st.lists(steps, min_size=STEPS_MIN, max_size=STEPS_MAX).map(lambda course: [Take(0), *course])
"""What several workers do, in the order in which the log sees it."""

asks_of_one_worker = st.lists(
    st.builds(Ask, st.just(0), tenants, questions_or_none, delays, surroundings), min_size=STEPS_MIN, max_size=STEPS_MAX
)


@dataclass(slots=True)
class Worker:
    """A worker as it knows itself: the claim it wrote last, and the partition as it read it, plus what it wrote.

    It never reads again until it claims again, so once it is deposed it is a zombie and does not know it.
    """

    claim: int
    tenants: dict[str, TenantState]
    command_offset: int


class Log:
    """An events partition, and the workers who write to it."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.workers: dict[int, Worker] = {}
        self.now: datetime = START

    def play(self, step: Ask | Take) -> None:
        if isinstance(step, Take):
            self._take(step)
        else:
            self._ask(step)

    def _take(self, take: Take) -> None:
        before = read_once(self.records).claim or Claim(0, "", FIRST_GENERATION, 1)
        claim = Claimed(f"w{take.worker}", max(0, before.generation + take.generation), max(0, before.term + take.term))
        self.records.append(claim)
        read = read_once(self.records)
        self.workers[take.worker] = Worker(len(self.records) - 1, dict(read.tenants), read.command_offset)

    def _ask(self, ask: Ask) -> None:
        self.now += ask.delay
        worker = self.workers.get(ask.worker)
        if worker is None:
            return
        state = worker.tenants.get(ask.tenant, TenantState(ask.tenant))
        question = ask.question or onward(state)
        decision = decide(state, question, self.now, ask.terms)
        if decision is None or isinstance(decision, Rejection):
            return
        causation, offset = cause_of(question, worker.command_offset + 1)
        event = following(state, decision, at=self.now, claim=worker.claim, causation=causation, command_offset=offset)
        worker.tenants[ask.tenant] = fold(state, event)
        worker.command_offset = worker.command_offset if offset is None else offset
        self.records.append(event)


def log_of(course: Sequence[Ask | Take]) -> list[Record]:
    """The records that a course of steps leaves behind."""
    log = Log()
    for step in course:
        log.play(step)
    return log.records


def read_once(records: list[Record]) -> PartitionState:
    """The partition, read from the beginning, each record once."""
    partition = PartitionState(0)
    for offset, record in enumerate(records):
        partition.fold(offset, record)
    return partition


class Reading(NamedTuple):
    """All that a reader knows of a partition."""

    claim: Claim | None
    folded: int
    command_offset: int
    tenants: dict[str, TenantState]
    void: int


def reading(partition: PartitionState) -> Reading:
    """What ``partition`` knows, to be compared."""
    return Reading(partition.claim, partition.folded, partition.command_offset, dict(partition.tenants), partition.void)
