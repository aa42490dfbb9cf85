"""Whatever is asked, in whatever order and whenever: what is decided can be folded, and the state makes sense."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from statemachine import (
    Reaction,
    Rejection,
    TenantState,
    Terms,
    answer,
    deadlines,
    decide,
    fold,
    health,
    reaction,
    streamed,
    why,
)
from statemachine.commands import Command, Connect, Deadline, DeadlineReached, FailuresWeighed, Report
from statemachine.events import EVENT_TYPES, Event
from statemachine.limits import COMMAND_IDS_KEPT_MAX, CONNECT_FAILURES_KEPT_MAX, PARTITION_DAYS_KEPT_MAX
from statemachine.machines import LIVE, DatabaseHealth, Lifecycle, Occupancy, Replication
from statemachine.state import ReplicationMode
from tests.support.scenario import COMMANDS, START, TENANT, TERMS, cause_of, following
from tests.unit.statemachine.histories import (
    MODEST,
    Question,
    delays,
    onward,
    questions_or_none,
    questions_when_ready,
    surroundings,
)
from tests.unit.statemachine.situations import REPORTS


def _has_deadlines(history: Any) -> bool:
    return bool(deadlines(history.state))


def _is_ready(history: Any) -> bool:
    return history.state.lifecycle is Lifecycle.READY


def _is_not_ready(history: Any) -> bool:
    return not _is_ready(history)


def _may_connect(history: Any) -> bool:
    state = history.state
    return state.lifecycle is Lifecycle.ABSENT and state.pause is None and state.retry_at is None


def _is_left_open(deadline: Deadline, terms: Terms) -> bool:
    """The next attempt is the owner's work and no event; who is idle is not known while users are not."""
    return deadline is Deadline.REPLICATION_ATTEMPT or (deadline is Deadline.IDLE_SHUTDOWN and terms.users is None)


class AnyHistory(RuleBasedStateMachine):
    """One tenant, of which anything is asked at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.asked = 0
        self.events: list[Event] = []
        self.state = TenantState(TENANT)

    def _ask(self, question: Command | Report, terms: Terms = TERMS) -> None:
        before = self.state
        decision = decide(before, question, self.now, terms)
        self.asked += 1
        if decision is None or isinstance(decision, Rejection):
            return
        assert type(decision) in EVENT_TYPES.values()
        causation, offset = cause_of(question, self.asked)
        event = following(before, decision, at=self.now, causation=causation, command_offset=offset)
        self.state = fold(before, event)
        self.events.append(event)

    @initialize(steps=st.integers(0, 5))
    def begin(self, steps: int) -> None:
        self.bring_on(steps)

    @precondition(_is_not_ready)
    @rule(steps=st.integers(1, 5))
    def bring_on(self, steps: int) -> None:
        for _ in range(steps):
            self._ask(onward(self.state))

    @precondition(_is_ready)
    @rule(question=questions_when_ready, delay=delays, terms=surroundings)
    def look_after(self, question: Command | Report, delay: timedelta, terms: Terms) -> None:
        self.now += delay
        self._ask(question, terms)

    @rule(question=questions_or_none, delay=delays, terms=surroundings)
    def ask(self, question: Question, delay: timedelta, terms: Terms) -> None:
        self.now += delay
        question = question or onward(self.state)
        self._ask(question, terms)
        if isinstance(question, COMMANDS):
            answer(self.state, question)

    @precondition(_may_connect)
    @rule(times=st.integers(1, 3), pause=st.sampled_from([timedelta(0), timedelta(seconds=1), timedelta(seconds=3)]))
    def fail_to_connect(self, times: int, pause: timedelta) -> None:
        for _ in range(times):
            self._ask(Connect())
            self._ask(REPORTS["effect_failed"])
            self.now += pause
        self._ask(FailuresWeighed())

    @precondition(_has_deadlines)
    @rule(terms=surroundings)
    def wait_for_a_deadline(self, terms: Terms) -> None:
        for deadline, due in deadlines(self.state).items():
            self.now = max(self.now, due)
            self._ask(DeadlineReached(deadline), terms)
            if not _is_left_open(deadline, terms):
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
        recovers = self.state.database is DatabaseHealth.RECOVERING
        assert (self.state.recovery_until is not None) == recovers
        assert (self.state.database_failure is not None) == recovers

    @invariant()
    def a_stream_waits_exactly_while_it_has_a_next_attempt_a_window_and_a_delay(self) -> None:
        waits = self.state.replication is Replication.WAITING
        state = self.state
        for held in (
            state.next_attempt_at,
            state.replication_until,
            state.replication_delay,
            state.replication_failure,
        ):
            assert (held is not None) == waits

    @invariant()
    def a_stream_and_users_are_told_of_only_from_ready_to_stopped(self) -> None:
        if self.state.lifecycle not in (Lifecycle.READY, Lifecycle.STOPPING):
            assert self.state.replication is Replication.OFF
            assert self.state.occupancy is Occupancy.UNKNOWN
        if self.state.replication is not Replication.OFF:
            assert self.state.mode is not ReplicationMode.OFF

    @invariant()
    def a_shutdown_is_due_exactly_while_the_tenant_is_idle(self) -> None:
        assert (self.state.shutdown_at is not None) == (self.state.occupancy is Occupancy.IDLE)
        assert (self.state.occupancy_since is not None) == (self.state.occupancy is not Occupancy.UNKNOWN)
        assert (self.state.users > 0) == (self.state.occupancy is Occupancy.USED)

    @invariant()
    def a_limited_tenant_is_absent_and_failed(self) -> None:
        if self.state.retry_at is not None:
            assert self.state.lifecycle is Lifecycle.ABSENT
            assert self.state.failures
        assert len(self.state.failures) <= CONNECT_FAILURES_KEPT_MAX
        if self.state.lifecycle is Lifecycle.READY:
            assert not self.state.failures

    @invariant()
    def the_failed_days_are_those_that_were_told_and_not_restored(self) -> None:
        assert list(self.state.partitions_failed) == sorted(set(self.state.partitions_failed))
        assert len(self.state.partitions_failed) <= PARTITION_DAYS_KEPT_MAX

    @invariant()
    def a_state_can_be_explained_and_worked_on(self) -> None:
        explanation = why(self.state)
        assert explanation.what
        assert (explanation.since is not None) == (explanation.code != "never_connected")
        assert reaction(self.state) in Reaction
        assert streamed(self.state) <= (reaction(self.state) is Reaction.HOLD)
        assert health(self.state, self.state.users, 64).connected_cluster == self.state.users
        assert len(self.state.command_ids) <= COMMAND_IDS_KEPT_MAX

    def teardown(self) -> None:
        again = TenantState(TENANT)
        for event in self.events:
            again = fold(again, event)
        assert again == self.state


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(MODEST, max_examples=120)
