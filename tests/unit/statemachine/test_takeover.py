"""An owner dies anywhere: the next one has the log's bytes and nothing else, and carries on as if nothing had been."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime
from typing import NamedTuple

from hypothesis import event as note
from hypothesis import given, settings
from hypothesis import strategies as st

from statemachine import (
    PartitionState,
    Reaction,
    Rejection,
    TenantState,
    answer,
    deadlines,
    decide,
    health,
    reaction,
    streamed,
    why,
)
from statemachine.commands import Command, Connect, Deadline, Report, Wait
from statemachine.decide import Decision
from statemachine.events import Claimed, ConnectRetried, Event
from statemachine.terms import Terms
from streams.wire.event import Origin, decode_event, encode_claim, encode_event, source_of
from tests.support.scenario import START, TENANT, cause_of
from tests.unit.statemachine.histories import (
    MODEST,
    STEPS_MAX,
    STEPS_MIN,
    Question,
    delays,
    onward,
    questions,
    questions_when_ready,
    surroundings,
)

SOURCE = source_of("local", 0)


class Step(NamedTuple):
    """Something is asked of the tenant, and its owner dies afterwards or does not.

    Attributes:
        question: what is asked; None for what brings the tenant on.
        at: when, after the beginning.
        terms: what the surroundings say then.
        dies: whether the owner dies once the answer, if any, is on the log.
    """

    question: Question
    at: datetime
    terms: Terms
    dies: bool


class Duties(NamedTuple):
    """Everything that an owner derives from a state."""

    due: dict[Deadline, datetime]
    reaction: Reaction
    streamed: bool
    explanation: tuple[str, str, str, datetime | None]
    healthy: bool
    answered: object


def _duties(state: TenantState) -> Duties:
    said = why(state)
    return Duties(
        deadlines(state),
        reaction(state),
        streamed(state),
        (said.code, said.what, said.next, said.at),
        health(state, state.users, 64).healthy,
        answer(state, Connect(wait=Wait.STREAMING)),
    )


class Owner:
    """One owner after another of a partition with one tenant; what they leave behind is bytes."""

    def __init__(self) -> None:
        self.log: list[bytes] = []
        self.deaths = 0
        self.take_over()

    def take_over(self) -> None:
        """A worker claims the partition and reads it from the beginning."""
        claim = Claimed(f"w{self.deaths}", self.deaths)
        self.log.append(encode_claim(claim, source=SOURCE, time=START))
        self.partition = PartitionState(0)
        for offset, record in enumerate(self.log):
            self.partition.fold(offset, decode_event(record, f"0:{offset}"))
        self.deaths += 1

    @property
    def state(self) -> TenantState:
        return self.partition.tenant(TENANT)

    def ask(self, question: Command | Report, at: datetime, terms: Terms) -> Decision:
        """Decide, write, and fold what was written, before anybody could have read it."""
        decision = decide(self.state, question, at, terms)
        if decision is None or isinstance(decision, Rejection):
            return decision
        assert self.partition.claim is not None
        causation, offset = cause_of(question, self.partition.command_offset + 1)
        origin = Origin(SOURCE, self.partition.claim.offset, causation, offset)
        event, body = encode_event(self.state, decision, at, origin)
        self.partition.fold(len(self.log), event)
        self.log.append(body)
        return decision

    def events(self) -> Iterator[Event]:
        """What stands on the log."""
        records = (decode_event(record, "0") for record in self.log)
        return (record for record in records if isinstance(record, Event))


@st.composite
def _steps(draw: st.DrawFn) -> list[Step]:
    asked = st.one_of(st.none(), st.none(), st.none(), questions_when_ready, questions_when_ready, questions)
    now: datetime = START
    steps: list[Step] = []
    for question in [None] * draw(st.integers(0, 3)) + draw(st.lists(asked, min_size=STEPS_MIN, max_size=STEPS_MAX)):
        now += draw(delays)
        steps.append(Step(question, now, draw(surroundings), draw(st.booleans())))
    return steps


@settings(MODEST, max_examples=120)
@given(_steps())
def test_an_owner_that_dies_changes_no_deadline_no_reaction_and_no_decision(steps: list[Step]) -> None:
    steady, mortal = Owner(), Owner()
    for step in steps:
        question = step.question or onward(steady.state)
        assert mortal.ask(question, step.at, step.terms) == steady.ask(question, step.at, step.terms)
        if step.dies:
            mortal.take_over()
        assert _duties(mortal.state) == _duties(steady.state)
        assert mortal.state.sequence == steady.state.sequence
    note(f"deaths: {min(mortal.deaths // 5 * 5, 20)} and more, events: {steady.state.sequence // 5 * 5} and more")
    assert [event.data for event in mortal.events()] == [event.data for event in steady.events()]


@MODEST
@given(_steps())
def test_a_state_is_what_the_bytes_on_the_log_made_it(steps: list[Step]) -> None:
    owner = Owner()
    for step in steps:
        owner.ask(step.question or onward(owner.state), step.at, step.terms)
    read = PartitionState(0)
    for offset, record in enumerate(owner.log):
        read.fold(offset, decode_event(record, f"0:{offset}"))
    assert read.tenant(TENANT) == owner.state


def _said(event: Event) -> set[datetime]:
    """The moments that an event names. That an operator wants what waits to be tried at once names its own."""
    named = {getattr(event.data, field.name) for field in fields(event.data)}
    own = {event.time} if isinstance(event.data, ConnectRetried) else set()
    return own | {moment for moment in named if isinstance(moment, datetime)}


@MODEST
@given(_steps())
def test_a_deadline_is_a_moment_that_an_event_named(steps: list[Step]) -> None:
    owner = Owner()
    for step in steps:
        owner.ask(step.question or onward(owner.state), step.at, step.terms)
        said = {moment for event in owner.events() for moment in _said(event)}
        assert set(deadlines(owner.state).values()) <= said
