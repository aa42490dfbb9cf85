"""Whatever is asked, in whatever order and whenever: what is decided can be folded, and the state makes sense."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from statemachine import Reaction, Rejection, TenantState, answer, deadlines, decide, fold, reaction, why
from statemachine.commands import Command, DeadlineReached, Report
from statemachine.events import EVENT_TYPES, Event
from statemachine.limits import COMMAND_IDS_KEPT_MAX
from statemachine.machines import LIVE, DatabaseHealth, Lifecycle
from tests.support.scenario import COMMANDS, START, TENANT, TERMS, cause_of, following
from tests.unit.statemachine.histories import MODEST, Question, delays, onward, questions_or_none


def _has_deadlines(history: Any) -> bool:
    return bool(deadlines(history.state))


class AnyHistory(RuleBasedStateMachine):
    """One tenant, of which anything is asked at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.asked = 0
        self.events: list[Event] = []
        self.state = TenantState(TENANT)

    def _ask(self, question: Command | Report) -> None:
        before = self.state
        decision = decide(before, question, self.now, TERMS)
        self.asked += 1
        if decision is None or isinstance(decision, Rejection):
            return
        assert type(decision) in EVENT_TYPES.values()
        causation, offset = cause_of(question, self.asked)
        event = following(before, decision, at=self.now, causation=causation, command_offset=offset)
        self.state = fold(before, event)
        self.events.append(event)

    @initialize(steps=st.integers(0, 4))
    def bring_on(self, steps: int) -> None:
        for _ in range(steps):
            self._ask(onward(self.state))

    @rule(question=questions_or_none, delay=delays)
    def ask(self, question: Question, delay: timedelta) -> None:
        self.now += delay
        question = question or onward(self.state)
        self._ask(question)
        if isinstance(question, COMMANDS):
            answer(self.state, question)

    @precondition(_has_deadlines)
    @rule()
    def wait_for_a_deadline(self) -> None:
        for deadline, due in deadlines(self.state).items():
            self.now = max(self.now, due)
            self._ask(DeadlineReached(deadline))
            assert deadline not in deadlines(self.state), "a deadline that was decided is due no more"

    @invariant()
    def the_sequence_has_no_gap_and_one_question_leads_to_one_event_at_most(self) -> None:
        assert [event.sequence for event in self.events] == list(range(1, len(self.events) + 1))
        assert self.state.sequence == len(self.events) <= self.asked

    @invariant()
    def the_chain_is_whole(self) -> None:
        links = ["", *(event.hash for event in self.events)]
        assert [event.previous_hash for event in self.events] == links[:-1]
        assert self.state.hash == links[-1]

    @invariant()
    def a_paused_tenant_is_not_live_and_does_not_come_back(self) -> None:
        if self.state.pause is not None:
            assert self.state.lifecycle not in LIVE
            assert not self.state.reconnect

    @invariant()
    def a_live_tenant_has_no_reason_to_stop_and_a_stopping_one_has(self) -> None:
        if self.state.lifecycle in LIVE:
            assert self.state.stop is None
            assert not self.state.reconnect
        if self.state.lifecycle is Lifecycle.STOPPING:
            assert self.state.stop is not None

    @invariant()
    def a_database_is_connected_only_from_ready_to_stopped(self) -> None:
        if self.state.lifecycle is Lifecycle.READY:
            assert self.state.database is not DatabaseHealth.DOWN
        elif self.state.lifecycle is not Lifecycle.STOPPING:
            assert self.state.database is DatabaseHealth.DOWN

    @invariant()
    def a_recovery_window_is_open_exactly_while_the_database_recovers(self) -> None:
        assert (self.state.recovery_until is not None) == (self.state.database is DatabaseHealth.RECOVERING)

    @invariant()
    def a_state_can_be_explained_and_worked_on(self) -> None:
        assert why(self.state).what
        assert reaction(self.state) in Reaction
        assert len(self.state.command_ids) <= COMMAND_IDS_KEPT_MAX

    def teardown(self) -> None:
        again = TenantState(TENANT)
        for event in self.events:
            again = fold(again, event)
        assert again == self.state


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(MODEST, max_examples=150)
