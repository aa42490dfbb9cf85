"""Given, when, then: a vocabulary for tests of the pure core.

``given(*payloads)`` is what has happened to a tenant, ``.when(...)`` asks something of it, and ``.then...`` says
what came of it. A scenario is frozen: each step returns the next one, so that a common beginning can be shared.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Final

from statemachine import Rejection, TenantState, Terms, deadlines, decide, fold
from statemachine.commands import COMMAND_TYPES, Command, Deadline, Report
from statemachine.decide import Decision
from statemachine.errors import Refused
from statemachine.events import Event, TenantEventData

TENANT: Final = "t1"
START: Final = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
"""When a scenario begins. Its events follow one another by a second."""

CLAIM: Final = 0
"""The claim that events are written under where a test does not care."""

TERMS: Final = Terms(platform_region="us-east-1", serving_region="local", users=0)
"""What the surroundings say where a test does not care: nobody uses the tenant."""

COMMANDS: Final = tuple(COMMAND_TYPES.values())


def following(
    state: TenantState,
    payload: TenantEventData,
    *,
    at: datetime = START,
    claim: int = CLAIM,
    causation: str = "effect:test",
    command_offset: int | None = None,
) -> Event:
    """The event with ``payload`` that continues the sequence and the chain of ``state``."""
    sequence = state.sequence + 1
    link = blake2b(f"{state.hash}{state.tenant}{sequence}{claim}{payload!r}".encode(), digest_size=16).hexdigest()
    return Event(state.tenant, payload, sequence, at, claim, causation, command_offset, None, state.hash, link)


def cause_of(asked: Command | Report, offset: int) -> tuple[str, int | None]:
    """Causation id and command offset of an event that ``asked`` leads to; a report has no offset."""
    if isinstance(asked, COMMANDS):
        return f"command-{offset}", offset
    return f"effect:{type(asked).__name__}", None


@dataclass(frozen=True, slots=True)
class Scenario:
    """A tenant, and what has come of the last questions.

    Attributes:
        state: the tenant's state.
        now: the time that passes by a second with each event.
        decisions: what was decided since the scenario was last checked.
        claim: the claim under which events are written.
    """

    state: TenantState
    now: datetime
    decisions: tuple[Decision, ...] = ()
    claim: int = CLAIM

    def given(self, *payloads: TenantEventData) -> Scenario:
        """These happened, too."""
        scenario = self
        for payload in payloads:
            scenario = scenario.append(payload)
        return scenario

    def at(self, moment: datetime) -> Scenario:
        """It is this time now."""
        return replace(self, now=moment)

    def after(self, delay: timedelta) -> Scenario:
        """Time passes."""
        return replace(self, now=self.now + delay)

    def taken_over(self, claim: int) -> Scenario:
        """Another worker owns the tenant now."""
        return replace(self, claim=claim)

    def when(self, asked: Command | Report, *, at: datetime | None = None, terms: Terms = TERMS) -> Scenario:
        """A command or report is decided at ``at``, by default now; an event of it is folded."""
        moment = self.now if at is None else at
        decision = decide(self.state, asked, moment, terms)
        asked_of = replace(self, now=moment, decisions=(*self.decisions, decision))
        if decision is None or isinstance(decision, Rejection):
            return asked_of
        causation, offset = cause_of(asked, self.state.sequence)
        return asked_of.append(decision, causation=causation, command_offset=offset)

    def then(self, *payloads: TenantEventData) -> Scenario:
        """Exactly these happened since the last check, one for each question."""
        assert self.decisions == payloads
        return replace(self, decisions=())

    def then_refused(self, error: type[Refused], *, retry_at: datetime | None = None) -> Scenario:
        """The last question was refused with ``error``; whoever asks learns when to ask again."""
        refusal = self.decisions[-1]
        assert isinstance(refusal, Rejection), f"not refused but {refusal!r}"
        assert (refusal.error, refusal.retry_at) == (error, retry_at)
        return replace(self, decisions=())

    def then_nothing(self) -> Scenario:
        """Something was asked since the last check, and nothing came of it."""
        assert self.decisions
        assert all(decision is None for decision in self.decisions), self.decisions
        return replace(self, decisions=())

    def and_state(self, **expected: object) -> Scenario:
        """The named fields of the state have these values."""
        assert {name: getattr(self.state, name) for name in expected} == expected
        return self

    def and_due(self, **expected: datetime) -> Scenario:
        """The state has these deadlines and no others."""
        assert deadlines(self.state) == {Deadline(name): at for name, at in expected.items()}
        return self

    def append(
        self, payload: TenantEventData, *, causation: str = "effect:test", command_offset: int | None = None
    ) -> Scenario:
        """One event more, a second later."""
        event = following(
            self.state, payload, at=self.now, claim=self.claim, causation=causation, command_offset=command_offset
        )
        return replace(self, state=fold(self.state, event), now=self.now + timedelta(seconds=1))


def given(*payloads: TenantEventData, tenant: str = TENANT) -> Scenario:
    """A tenant to which these happened, in this order."""
    return Scenario(TenantState(tenant), START).given(*payloads)
