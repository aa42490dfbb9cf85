"""What a command is answered with, in every situation."""

from __future__ import annotations

from itertools import product
from typing import Final

import pytest

from statemachine import Answer, Rejection, Terms, answer, decide
from statemachine.answers import answer_again
from statemachine.commands import (
    Command,
    Connect,
    ConnectionClosed,
    Deadline,
    DeadlineReached,
    PauseTenant,
    ResumeTenant,
    Shutdown,
    Wait,
)
from statemachine.errors import (
    ConnectRateLimitReached,
    PooledEndpoint,
    Refused,
    TenantDatabaseUnavailable,
    TenantNotFound,
    TenantPaused,
    TenantSuspended,
    TooManyConnections,
)
from statemachine.events import ConnectPaused, ConnectRequested, ConnectResumed, ConnectStopped
from statemachine.state import StopReason
from tests.support.scenario import TERMS, given
from tests.unit.statemachine.situations import (
    CHECKED_DURABLE,
    CHECKING,
    COMMANDS,
    LONG_AFTER,
    PAUSED,
    PAUSED_UNTIL,
    POSTPONED,
    PROVISIONED,
    PROVISIONING,
    READY,
    REPORTS,
    RETRY_AT,
    SHUTDOWN_AT,
    SITUATIONS,
    STARTED,
    STOPPED_BY_PAUSE,
    STREAM_LOST,
    cells,
)

LIFE_ANSWERS: Final = """
command            never        checking  provisioning  ready  stopping  reloading  pausing  stopped      returning  paused
connect            unavailable  pending   pending       ok     pending   pending    paused   unavailable  pending    paused
connect_now        ok           ok        ok            ok     ok        ok         paused   ok           ok         paused
connect_streaming  unavailable  pending   pending       ok     pending   pending    paused   unavailable  pending    paused
reload             unavailable  pending   pending       ok     pending   pending    paused   unavailable  pending    paused
shutdown           ok           ok        ok            ok     pending   pending    pending  ok           ok         ok
status             ok           ok        ok            ok     ok        ok         ok       ok           ok         ok
check_health       ok           ok        ok            ok     ok        ok         ok       ok           ok         ok
retry              ok           ok        ok            ok     ok        ok         ok       ok           ok         ok
pause              ok           ok        ok            ok     ok        ok         ok       ok           ok         ok
resume             ok           ok        ok            ok     ok        ok         ok       ok           ok         ok
"""  # noqa: E501 - a table reads by its columns

CONNECTED_ANSWERS: Final = """
command            recovering  starting  streaming  waiting  postponed  used  idle  undated
connect            ok          ok        ok         ok       ok         ok    ok    ok
connect_now        ok          ok        ok         ok       ok         ok    ok    ok
connect_streaming  ok          pending   ok         pending  pending    ok    ok    ok
reload             ok          ok        ok         ok       ok         ok    ok    ok
shutdown           ok          ok        ok         ok       ok         ok    ok    ok
status             ok          ok        ok         ok       ok         ok    ok    ok
check_health       ok          ok        ok         ok       ok         ok    ok    ok
retry              ok          ok        ok         ok       ok         ok    ok    ok
pause              ok          ok        ok         ok       ok         ok    ok    ok
resume             ok          ok        ok         ok       ok         ok    ok    ok
"""

REFUSED_ANSWERS: Final = """
command            failing      limited  delayed
connect            unavailable  limited  limited
connect_now        ok           limited  limited
connect_streaming  unavailable  limited  limited
reload             unavailable  limited  limited
shutdown           ok           ok       ok
status             ok           ok       ok
check_health       ok           ok       ok
retry              ok           ok       ok
pause              ok           ok       ok
resume             ok           ok       ok
"""

ANSWERS: Final = (LIFE_ANSWERS, CONNECTED_ANSWERS, REFUSED_ANSWERS)
"""`pending`: wait until the state changes. `paused`, `limited` and `unavailable` are refusals. A shutdown that finds a
live tenant was answered before: the tenant was connected again since. Rows of the tenants that are `ready`, `used` and
so on are not to be streamed, so nothing is left to wait for there."""

ASKED: Final[dict[str, Command]] = {
    **COMMANDS,
    "connect_now": Connect(wait=Wait.NO),
    "connect_streaming": Connect(wait=Wait.STREAMING),
}
REFUSALS: Final[dict[type[Refused], str]] = {
    TenantPaused: "paused",
    ConnectRateLimitReached: "limited",
    TenantDatabaseUnavailable: "unavailable",
}

LEARNED: Final[dict[StopReason, type[Refused]]] = {
    StopReason.REQUESTED: TenantDatabaseUnavailable,
    StopReason.IDLE: TenantDatabaseUnavailable,
    StopReason.REBALANCING: TenantDatabaseUnavailable,
    StopReason.SUSPENDED: TenantSuspended,
    StopReason.TENANT_NOT_FOUND: TenantNotFound,
    StopReason.PAUSED: TenantPaused,
    StopReason.TOO_MANY_CONNECTIONS: TooManyConnections,
    StopReason.DATABASE_UNAVAILABLE: TenantDatabaseUnavailable,
    StopReason.POOLED_ENDPOINT: PooledEndpoint,
    StopReason.MIGRATIONS_FAILED: TenantDatabaseUnavailable,
    StopReason.DATABASE_RECOVERY_WINDOW_EXCEEDED: TenantDatabaseUnavailable,
    StopReason.REPLICATION_RECOVERY_WINDOW_EXCEEDED: TenantDatabaseUnavailable,
    StopReason.DATABASE_CLOSED: TenantDatabaseUnavailable,
    StopReason.REMOVED: TenantDatabaseUnavailable,
}
"""The refusal that a stop reason becomes for a caller who waits for a connection."""

MEANWHILE: Final = {
    StopReason.REQUESTED,
    StopReason.IDLE,
    StopReason.REBALANCING,
    StopReason.REMOVED,
    StopReason.DATABASE_CLOSED,
}
"""The stops in which nothing is wrong with the database."""


@pytest.mark.parametrize(("command", "situation", "expected"), cells(*ANSWERS))
def test_a_command_is_answered_as_the_table_says(command: str, situation: str, expected: str) -> None:
    reply = answer(SITUATIONS[situation].state, ASKED[command])
    assert (REFUSALS[reply.error] if isinstance(reply, Rejection) else reply.value) == expected


def test_the_tables_have_every_command_in_every_situation() -> None:
    asked = [(command, situation) for command, situation, _ in cells(*ANSWERS)]
    assert sorted(asked) == sorted(product(ASKED, SITUATIONS))


@pytest.mark.parametrize("command", ASKED)
def test_what_is_refused_when_it_is_decided_is_refused_in_the_same_words_when_it_is_delivered_again(
    command: str,
) -> None:
    for scenario in SITUATIONS.values():
        decision = decide(scenario.state, ASKED[command], LONG_AFTER, TERMS)
        if isinstance(decision, Rejection):
            assert answer(scenario.state, ASKED[command]) == decision


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("command", ASKED)
def test_what_is_delivered_again_is_refused_as_it_would_be_now(command: str, situation: str) -> None:
    state = SITUATIONS[situation].state
    decision = decide(state, ASKED[command], LONG_AFTER, TERMS)
    if decision is None or isinstance(decision, Rejection):
        assert answer_again(state, ASKED[command], decision) == decision


def test_who_does_not_wait_and_was_refused_is_not_told_ok_when_that_is_delivered_again() -> None:
    resumed = SITUATIONS["paused"].given(ConnectResumed()).state
    decision = decide(resumed, Connect(Wait.NO), LONG_AFTER, TERMS)
    again = answer_again(resumed, Connect(Wait.NO), decision)
    assert isinstance(decision, ConnectRequested)
    assert isinstance(again, Rejection)
    assert answer(resumed, Connect(Wait.NO)) is Answer.OK


def test_what_led_to_nothing_and_would_lead_to_something_now_is_not_decided_again() -> None:
    paused = SITUATIONS["paused"].state
    decision = decide(paused, ResumeTenant(), LONG_AFTER, TERMS)
    assert isinstance(decision, ConnectResumed)
    assert answer_again(paused, ResumeTenant(), decision) is None


@pytest.mark.parametrize(("reason", "error"), LEARNED.items())
def test_who_waits_for_a_connection_learns_why_it_stopped(reason: StopReason, error: type[Refused]) -> None:
    stopped = CHECKING.given(ConnectStopped(reason, None, "what was tried"))
    meanwhile = f"the tenant was stopped meanwhile, {reason.value}: " if reason in MEANWHILE else ""
    assert answer(stopped.state, Connect()) == Rejection(error, f"{meanwhile}what was tried")


def test_who_waits_while_the_tenant_idles_away_is_not_sent_to_its_database() -> None:
    stopped = SITUATIONS["idle"].when(DeadlineReached(Deadline.IDLE_SHUTDOWN), at=SHUTDOWN_AT, terms=Terms(users=0))
    reply = answer(stopped.when(ConnectionClosed()).state, Connect(wait=Wait.STREAMING))
    assert isinstance(reply, Rejection)
    assert reply.message == "the tenant was stopped meanwhile, idle: nobody used the tenant"
    assert "mend the database" not in reply.error.remedy


def test_a_stop_without_a_message_says_no_more_than_its_reason_to_who_waits() -> None:
    reply = answer(CHECKING.given(ConnectStopped(StopReason.IDLE)).state, Connect())
    assert reply == Rejection(TenantDatabaseUnavailable, "the tenant was stopped meanwhile, idle")


def test_every_stop_reason_has_been_thought_of() -> None:
    assert list(LEARNED) == list(StopReason)


def test_a_stop_without_a_message_is_explained_by_the_meaning_of_its_error() -> None:
    stopped = CHECKING.given(ConnectStopped(StopReason.SUSPENDED))
    assert answer(stopped.state, Connect()) == Rejection(TenantSuspended, TenantSuspended.meaning)


@pytest.mark.parametrize("command", ["connect", "connect_now", "reload"])
def test_the_answer_of_a_paused_tenant_names_the_pause_and_its_end(command: str) -> None:
    reply = answer(SITUATIONS["paused"].state, ASKED[command])
    assert reply == Rejection(TenantPaused, "paused by ada: disk swap", PAUSED_UNTIL)


def test_a_tenant_paused_before_its_first_connect_answers_as_paused() -> None:
    reply = answer(given(ConnectPaused("hold", "ada")).state, Connect())
    assert reply == Rejection(TenantPaused, "paused by ada: hold", None)


def test_the_answer_to_a_connect_is_pending_until_the_tenant_is_ready() -> None:
    scenario = given().when(Connect())
    assert answer(scenario.state, Connect()) is Answer.PENDING
    assert answer(READY.state, Connect()) is Answer.OK


def test_the_answer_to_a_shutdown_is_pending_until_the_tenant_is_absent() -> None:
    scenario = READY.when(Shutdown())
    assert answer(scenario.state, Shutdown()) is Answer.PENDING
    assert answer(SITUATIONS["stopped"].state, Shutdown()) is Answer.OK


def test_a_pause_is_answered_while_the_connection_is_still_being_closed() -> None:
    assert answer(READY.when(PauseTenant()).state, PauseTenant()) is Answer.OK


def test_who_waited_through_a_pause_that_was_lifted_learns_that_it_was_stopped_by_one() -> None:
    scenario = READY.given(PAUSED, ConnectResumed(), STOPPED_BY_PAUSE)
    assert answer(scenario.state, Connect()) == Rejection(TenantPaused, "disk swap")


@pytest.mark.parametrize("command", ["connect", "connect_now", "connect_streaming", "reload"])
@pytest.mark.parametrize("situation", ["limited", "delayed"])
def test_the_answer_of_a_limited_tenant_names_the_time_from_which_on_it_is_tried_again(
    situation: str, command: str
) -> None:
    reply = answer(SITUATIONS[situation].state, ASKED[command])
    assert isinstance(reply, Rejection)
    assert (reply.error, reply.retry_at) == (ConnectRateLimitReached, RETRY_AT)


def test_who_waits_for_the_connect_that_reaches_the_limit_learns_what_failed() -> None:
    assert answer(SITUATIONS["failing"].state, Connect()) == Rejection(TenantDatabaseUnavailable, "refused")


def test_a_connect_that_waits_for_rows_waits_through_check_start_and_failure_until_they_are_streamed() -> None:
    connect = Connect(wait=Wait.STREAMING)
    for payloads in ((), (CHECKED_DURABLE,), (CHECKED_DURABLE, PROVISIONED), (CHECKED_DURABLE, PROVISIONED, POSTPONED)):
        assert answer(CHECKING.given(*payloads).state, connect) is Answer.PENDING
    scenario = CHECKING.given(CHECKED_DURABLE, PROVISIONED, POSTPONED, STARTED)
    assert answer(scenario.state, connect) is Answer.OK
    assert answer(scenario.given(STREAM_LOST).state, connect) is Answer.PENDING


def test_a_connect_that_waits_for_rows_learns_why_there_will_be_none() -> None:
    stopping = SITUATIONS["waiting"].when(REPORTS["stream_over"], at=LONG_AFTER)
    assert answer(stopping.state, Connect(wait=Wait.STREAMING)) is Answer.PENDING
    reply = answer(stopping.when(ConnectionClosed()).state, Connect(wait=Wait.STREAMING))
    last = "last with ReplicationConnectionDown: the server closed the stream"
    assert reply == Rejection(
        TenantDatabaseUnavailable, f"rows could not be streamed within the recovery window, {last}"
    )


def test_a_connect_that_waits_for_rows_that_are_not_to_be_streamed_is_answered_when_ready() -> None:
    assert answer(PROVISIONING.state, Connect(wait=Wait.STREAMING)) is Answer.PENDING
    assert answer(READY.state, Connect(wait=Wait.STREAMING)) is Answer.OK


@pytest.mark.parametrize("situation", ["starting", "waiting", "postponed"])
def test_a_connect_that_waits_for_the_connection_does_not_wait_for_rows(situation: str) -> None:
    assert answer(SITUATIONS[situation].state, Connect(wait=Wait.READY)) is Answer.OK
