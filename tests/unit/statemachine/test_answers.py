"""What a command is answered with, in every situation."""

from __future__ import annotations

from typing import Final

import pytest

from statemachine import Answer, Rejection, answer
from statemachine.commands import Command, Connect, PauseTenant, Shutdown, Wait
from statemachine.errors import (
    PooledEndpoint,
    Refused,
    TenantDatabaseUnavailable,
    TenantNotFound,
    TenantPaused,
    TenantSuspended,
    TooManyConnections,
)
from statemachine.events import ConnectPaused, ConnectResumed, ConnectStopped
from statemachine.machines import Replication
from statemachine.state import StopReason
from tests.support.scenario import given
from tests.unit.statemachine.situations import (
    CHECKING,
    COMMANDS,
    PAUSED,
    PAUSED_UNTIL,
    READY,
    SITUATIONS,
    STOPPED_BY_PAUSE,
    cells,
)

ANSWERS: Final = """
command       never        checking  provisioning  ready  recovering  stopping  reloading  pausing  stopped      returning  paused
connect       unavailable  pending   pending       ok     ok          pending   pending    paused   unavailable  pending    paused
connect_now   ok           ok        ok            ok     ok          ok        ok         paused   ok           ok         paused
reload        unavailable  pending   pending       ok     ok          pending   pending    paused   unavailable  pending    paused
shutdown      ok           ok        ok            ok     ok          pending   pending    pending  ok           ok         ok
status        ok           ok        ok            ok     ok          ok        ok         ok       ok           ok         ok
check_health  ok           ok        ok            ok     ok          ok        ok         ok       ok           ok         ok
retry         ok           ok        ok            ok     ok          ok        ok         ok       ok           ok         ok
pause         ok           ok        ok            ok     ok          ok        ok         ok       ok           ok         ok
resume        ok           ok        ok            ok     ok          ok        ok         ok       ok           ok         ok
"""  # noqa: E501 - a table reads by its columns
"""`pending`: wait until the state changes. `paused` and `unavailable` are refusals. A shutdown that finds a live
tenant was answered before: the tenant was connected again since."""

ASKED: Final[dict[str, Command]] = {**COMMANDS, "connect_now": Connect(wait=Wait.NO)}
REFUSALS: Final[dict[type[Refused], str]] = {TenantPaused: "paused", TenantDatabaseUnavailable: "unavailable"}

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


@pytest.mark.parametrize(("command", "situation", "expected"), cells(ANSWERS))
def test_a_command_is_answered_as_the_table_says(command: str, situation: str, expected: str) -> None:
    reply = answer(SITUATIONS[situation].state, ASKED[command])
    assert (REFUSALS[reply.error] if isinstance(reply, Rejection) else reply.value) == expected


def test_the_table_has_every_command_in_every_situation() -> None:
    assert {(command, situation) for command, situation, _ in cells(ANSWERS)} == {
        (command, situation) for command in ASKED for situation in SITUATIONS
    }


@pytest.mark.parametrize(("reason", "error"), LEARNED.items())
def test_who_waits_for_a_connection_learns_why_it_stopped(reason: StopReason, error: type[Refused]) -> None:
    stopped = CHECKING.given(ConnectStopped(reason, None, "what was tried"))
    assert answer(stopped.state, Connect()) == Rejection(error, "what was tried")


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


def test_a_connect_that_waits_for_rows_is_answered_when_they_are_streamed() -> None:
    ready = SITUATIONS["ready"].state
    connect = Connect(wait=Wait.STREAMING)
    assert answer(ready, connect) is Answer.PENDING
    assert answer(ready._replace(replication=Replication.STREAMING), connect) is Answer.OK
