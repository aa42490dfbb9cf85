"""What each command and each report leads to, in every situation."""

from __future__ import annotations

from typing import Final

import pytest

from statemachine import Rejection, decide
from statemachine.commands import COMMAND_TYPES, Command, Deadline, DeadlineReached, Report
from statemachine.errors import TenantPaused
from statemachine.events import EVENT_TYPES
from statemachine.machines import Lifecycle
from tests.support.scenario import TERMS
from tests.unit.statemachine.situations import ASKED, LONG_AFTER, PAUSED_UNTIL, REPORTS, SITUATIONS, cells

DECISIONS: Final = """
asked                never      checking  provisioning  ready     recovering  stopping  reloading  pausing  stopped    returning  paused
connect              requested  -         -             -         -           stopping  -          refused  requested  requested  refused
status               -          -         -             -         -           -         -          -        -          -          -
check_health         -          -         -             -         refused     -         -          -        -          -          -
retry                -          -         -             -         -           -         -          -        -          -          -
shutdown             -          stopping  stopping      stopping  stopping    -         stopping   -        -          stopped    -
reload               requested  stopping  stopping      stopping  stopping    stopping  -          refused  requested  requested  refused
pause                paused     paused    paused        paused    paused      paused    paused     paused   paused     paused     paused
resume               -          -         -             -         -           -         -          resumed  -          -          resumed
check_passed         -          checked   -             -         -           -         -          -        -          -          -
provision_done       -          -         provisioned   -         -           -         -          -        -          -          -
effect_failed        -          stopped   stopped       stopping  stopping    -         -          -        -          -          -
connection_closed    -          -         -             -         -           stopped   stopped    stopped  -          -          -
connection_lost      -          -         -             lost      -           -         -          -        -          -          -
connection_restored  -          -         -             -         restored    -         -          -        -          -          -
reconnect_wanted     -          -         -             -         -           -         -          -        -          requested  -
pause_over           -          -         -             -         -           -         -          resumed  -          -          resumed
recovery_over        -          -         -             -         stopping    -         -          -        -          -          -
"""  # noqa: E501 - a table reads by its columns
"""The event that happens; `-` for nothing at all; `refused` where the tenant is paused, or not healthy. Asked long
after every deadline has passed."""


def _outcome(situation: str, asked: str) -> str:
    decision = decide(SITUATIONS[situation].state, ASKED[asked], LONG_AFTER, TERMS)
    if decision is None:
        return "-"
    if isinstance(decision, Rejection):
        return "refused"
    return decision.type.partition(".")[2]


@pytest.mark.parametrize(("asked", "situation", "expected"), cells(DECISIONS))
def test_a_question_leads_to_what_the_table_says(asked: str, situation: str, expected: str) -> None:
    assert _outcome(situation, asked) == expected


def test_the_table_has_every_question_in_every_situation() -> None:
    assert [(asked, situation) for asked, situation, _ in cells(DECISIONS)] == [
        (asked, situation) for asked in ASKED for situation in SITUATIONS
    ]


def test_the_questions_are_all_that_can_be_asked() -> None:
    asked: set[type[Command | Report]] = {type(question) for question in ASKED.values()}
    assert asked == {*COMMAND_TYPES.values(), *Report.__args__}
    deadlines = {report.deadline for report in REPORTS.values() if isinstance(report, DeadlineReached)}
    assert deadlines == set(Deadline)


def test_the_situations_cover_every_state_of_the_lifecycle() -> None:
    assert {scenario.state.lifecycle for scenario in SITUATIONS.values()} == set(Lifecycle)


def test_the_table_leads_to_every_event_type_of_a_tenant() -> None:
    outcomes = {cell for _, _, cell in cells(DECISIONS)} - {"-", "refused"}
    assert outcomes == {type_.partition(".")[2] for type_ in EVENT_TYPES} - {"claimed"}


@pytest.mark.parametrize("asked", ["connect", "reload"])
@pytest.mark.parametrize("situation", ["pausing", "paused"])
def test_a_refusal_names_who_paused_and_why_and_when_to_ask_again(situation: str, asked: str) -> None:
    scenario = SITUATIONS[situation].when(ASKED[asked])
    before = scenario.state
    scenario.then_refused(TenantPaused, retry_at=PAUSED_UNTIL).and_state(sequence=before.sequence, pause=before.pause)
    refusal = scenario.decisions[-1]
    assert isinstance(refusal, Rejection)
    assert refusal.message == "paused by ada: disk swap"


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("asked", ASKED)
def test_deciding_twice_gives_the_same(situation: str, asked: str) -> None:
    state = SITUATIONS[situation].state
    assert decide(state, ASKED[asked], LONG_AFTER, TERMS) == decide(state, ASKED[asked], LONG_AFTER, TERMS)


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("asked", ASKED)
def test_whatever_is_decided_can_be_folded(situation: str, asked: str) -> None:
    before = SITUATIONS[situation]
    after = before.when(ASKED[asked], at=LONG_AFTER)
    happened = _outcome(situation, asked) not in {"-", "refused"}
    assert after.state.sequence == before.state.sequence + happened
    assert happened or after.state is before.state
