"""What each command and each report leads to, in every situation."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import pytest

from statemachine import Rejection, decide
from statemachine.commands import COMMAND_TYPES, Command, Deadline, DeadlineReached, Report
from statemachine.decide import Decision
from statemachine.errors import ConnectRateLimitReached, Refused, TenantPaused
from statemachine.events import EVENT_TYPES
from statemachine.machines import STATES
from tests.support.scenario import TERMS
from tests.unit.statemachine.situations import (
    ASKED,
    LONG_AFTER,
    PAUSED_UNTIL,
    REPORTS,
    RETRY_AT,
    SITUATIONS,
    cells,
)

LIFE_DECISIONS: Final = """
asked                never      checking  provisioning  ready     stopping  reloading  pausing  stopped    returning  paused
connect              requested  -         -             -         stopping  -          !paused  requested  requested  !paused
status               -          -         -             -         -         -          -        -          -          -
check_health         -          -         -             -         -         -          -        -          -          -
retry                -          -         -             -         -         -          -        -          -          -
shutdown             -          stopping  stopping      stopping  -         stopping   -        -          stopped    -
reload               requested  stopping  stopping      stopping  stopping  -          !paused  requested  requested  !paused
pause                paused     paused    paused        paused    paused    paused     paused   paused     paused     paused
resume               -          -         -             -         -         -          resumed  -          -          resumed
check_passed         -          checked   -             -         -         -          -        -          -          -
provision_done       -          -         provisioned   -         -         -          -        -          -          -
effect_failed        -          stopped   stopped       stopping  -         -          -        -          -          -
connection_closed    -          -         -             -         stopped   stopped    stopped  -          -          -
connection_lost      -          -         -             lost      -         -          -        -          -          -
connection_restored  -          -         -             -         -         -          -        -          -          -
reconnect_wanted     -          -         -             -         -         -          -        -          requested  -
failures_weighed     -          -         -             -         -         -          -        -          -          -
settings_changed     -          stopping  stopping      stopping  -         -          -        -          -          -
migrations_done      finished   -         -             -         -         -          -        finished   finished   finished
stream_started       -          -         -             -         -         -          -        -          -          -
stream_failed        -          -         -             -         -         -          -        -          -          -
gap_found            -          -         -             -         -         -          -        -          -          -
somebody_came        -          -         -             used      -         -          -        -          -          -
nobody_came          -          -         -             idle      -         -          -        -          -          -
partition_failed     failed     -         -             failed    -         -          -        failed     failed     failed
partition_made       -          -         -             -         -         -          -        -          -          -
pause_over           -          -         -             -         -         -          resumed  -          -          resumed
limit_over           -          -         -             -         -         -          -        -          -          -
recovery_over        -          -         -             -         -         -          -        -          -          -
attempt_due          -          -         -             -         -         -          -        -          -          -
stream_over          -          -         -             -         -         -          -        -          -          -
idle_over            -          -         -             -         -         -          -        -          -          -
"""  # noqa: E501 - a table reads by its columns

CONNECTED_DECISIONS: Final = """
asked                recovering  starting   streaming  waiting    postponed  used      idle      undated
connect              -           -          -          -          -          -         -         -
status               -           -          -          -          -          -         -         -
check_health         -           -          -          -          -          -         -         -
retry                retried     -          -          retried    retried    -         -         -
shutdown             stopping    stopping   stopping   stopping   stopping   stopping  stopping  stopping
reload               stopping    stopping   stopping   stopping   stopping   stopping  stopping  stopping
pause                paused      paused     paused     paused     paused     paused    paused    paused
resume               -           -          -          -          -          -         -         -
check_passed         -           -          -          -          -          -         -         -
provision_done       -           -          -          -          -          -         -         -
effect_failed        stopping    stopping   stopping   stopping   stopping   stopping  stopping  stopping
connection_closed    -           -          -          -          -          -         -         -
connection_lost      -           lost       lost       lost       lost       lost      lost      lost
connection_restored  restored    -          -          -          -          -         -         -
reconnect_wanted     -           -          -          -          -          -         -         -
failures_weighed     -           -          -          -          -          -         -         -
settings_changed     stopping    stopping   stopping   stopping   stopping   stopping  stopping  stopping
migrations_done      -           -          -          -          -          -         -         -
stream_started       -           started    started    started    started    -         -         -
stream_failed        -           postponed  lost       postponed  postponed  -         -         -
gap_found            -           gap        gap        gap        gap        -         -         -
somebody_came        used        used       used       used       used       -         used      used
nobody_came          idle        idle       idle       idle       idle       idle      -         idle
partition_failed     failed      failed     failed     failed     failed     failed    failed    -
partition_made       -           -          -          -          -          -         -         restored
pause_over           -           -          -          -          -          -         -         -
limit_over           -           -          -          -          -          -         -         -
recovery_over        stopping    -          -          -          -          -         -         -
attempt_due          -           -          -          -          -          -         -         -
stream_over          -           -          -          stopping   stopping   -         -         -
idle_over            -           -          -          -          -          -         stopping  -
"""

REFUSED_DECISIONS: Final = """
asked                failing    limited   delayed
connect              requested  !limited  !limited
status               -          -         -
check_health         -          -         -
retry                -          cleared   cleared
shutdown             -          -         stopped
reload               requested  !limited  !limited
pause                paused     paused    paused
resume               -          -         -
check_passed         -          -         -
provision_done       -          -         -
effect_failed        -          -         -
connection_closed    -          -         -
connection_lost      -          -         -
connection_restored  -          -         -
reconnect_wanted     -          -         -
failures_weighed     reached    -         -
settings_changed     -          cleared   cleared
migrations_done      finished   finished  finished
stream_started       -          -         -
stream_failed        -          -         -
gap_found            -          -         -
somebody_came        -          -         -
nobody_came          -          -         -
partition_failed     failed     failed    failed
partition_made       -          -         -
pause_over           -          -         -
limit_over           -          cleared   cleared
recovery_over        -          -         -
attempt_due          -          -         -
stream_over          -          -         -
idle_over            -          -         -
"""

DECISIONS: Final = (LIFE_DECISIONS, CONNECTED_DECISIONS, REFUSED_DECISIONS)
"""The event that happens; `-` for nothing at all; `!` before why it is refused. Asked long after every deadline has
passed, when nobody uses the tenant; only failures are weighed at once."""

REFUSALS: Final[dict[type[Refused], str]] = {TenantPaused: "!paused", ConnectRateLimitReached: "!limited"}


def _moment(situation: str, asked: str) -> datetime:
    return SITUATIONS[situation].now - timedelta(seconds=1) if asked == "failures_weighed" else LONG_AFTER


def _decision(situation: str, asked: str) -> Decision:
    return decide(SITUATIONS[situation].state, ASKED[asked], _moment(situation, asked), TERMS)


def _outcome(situation: str, asked: str) -> str:
    decision = _decision(situation, asked)
    if decision is None:
        return "-"
    if isinstance(decision, Rejection):
        return REFUSALS[decision.error]
    return decision.type.partition(".")[2]


@pytest.mark.parametrize(("asked", "situation", "expected"), cells(*DECISIONS))
def test_a_question_leads_to_what_the_table_says(asked: str, situation: str, expected: str) -> None:
    assert _outcome(situation, asked) == expected


def test_the_tables_have_every_question_in_every_situation() -> None:
    asked = [(situation, question) for question, situation, _ in cells(*DECISIONS)]
    assert sorted(asked) == sorted((situation, question) for situation in SITUATIONS for question in ASKED)


def test_the_questions_are_all_that_can_be_asked() -> None:
    asked: set[type[Command | Report]] = {type(question) for question in ASKED.values()}
    assert asked == {*COMMAND_TYPES.values(), *Report.__args__}
    deadlines = {report.deadline for report in REPORTS.values() if isinstance(report, DeadlineReached)}
    assert deadlines == set(Deadline)


@pytest.mark.parametrize("machine", STATES)
def test_the_situations_cover_every_state_of_every_machine(machine: str) -> None:
    assert {getattr(scenario.state, machine) for scenario in SITUATIONS.values()} == set(STATES[machine])


def test_every_event_type_of_a_tenant_is_decided_somewhere() -> None:
    decisions = [_decision(situation, asked) for situation in SITUATIONS for asked in ASKED]
    happened = {decision.type for decision in decisions if decision and not isinstance(decision, Rejection)}
    assert happened == set(EVENT_TYPES) - {"connect.claimed"}


@pytest.mark.parametrize("asked", ["connect", "reload"])
@pytest.mark.parametrize("situation", ["pausing", "paused"])
def test_a_refusal_names_who_paused_and_why_and_when_to_ask_again(situation: str, asked: str) -> None:
    scenario = SITUATIONS[situation].when(ASKED[asked])
    before = scenario.state
    scenario.then_refused(TenantPaused, retry_at=PAUSED_UNTIL).and_state(sequence=before.sequence, pause=before.pause)
    refusal = scenario.decisions[-1]
    assert isinstance(refusal, Rejection)
    assert refusal.message == "paused by ada: disk swap"


@pytest.mark.parametrize("asked", ["connect", "reload"])
@pytest.mark.parametrize("situation", ["limited", "delayed"])
def test_a_refusal_names_how_often_connecting_failed_and_when_to_ask_again(situation: str, asked: str) -> None:
    scenario = SITUATIONS[situation].when(ASKED[asked])
    refusal = scenario.decisions[-1]
    assert isinstance(refusal, Rejection)
    assert "failed 3 times" in refusal.message
    scenario.then_refused(ConnectRateLimitReached, retry_at=RETRY_AT).and_state(
        sequence=SITUATIONS[situation].state.sequence
    )


@pytest.mark.parametrize("situation", SITUATIONS)
def test_deciding_twice_gives_the_same(situation: str) -> None:
    for asked in ASKED:
        assert _decision(situation, asked) == _decision(situation, asked)


@pytest.mark.parametrize("situation", SITUATIONS)
def test_whatever_is_decided_can_be_folded(situation: str) -> None:
    before = SITUATIONS[situation]
    for asked in ASKED:
        after = before.when(ASKED[asked], at=_moment(situation, asked))
        happened = _outcome(situation, asked) != "-" and not _outcome(situation, asked).startswith("!")
        assert after.state.sequence == before.state.sequence + happened, asked
        assert happened or after.state is before.state
