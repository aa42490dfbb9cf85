"""The page that tells the life of a connection says what the machines do, and the tests it names exist."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path
from typing import Final

import pytest

from statemachine.commands import Deadline
from statemachine.connect_limit import CONNECT_FAILURES
from statemachine.events import EVENT_TYPES
from statemachine.machines import MACHINES
from statemachine.rejections import rejection_of
from statemachine.state import Stop, StopReason
from statemachine.table import rows

HERE: Final = Path(__file__).parent
PAGE: Final = (HERE.parents[2] / "docs" / "lifecycle.md").read_text(encoding="utf-8")
HEADINGS: Final = {
    "lifecycle": "T: the lifecycle",
    "database": "D: the database",
    "replication": "R: replication",
    "occupancy": "U: occupancy",
}
NAMED: Final = sorted(set(re.findall(r"`(test_\w+::\w+)`", PAGE)))
CELL_COUNT: Final = 7


def _table(heading: str) -> list[list[str]]:
    """The cells of each row of the table under ``heading``, without its header."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def _words(cell: str) -> list[str]:
    return [word.strip(" `") for word in cell.split(",")]


def _told(name: str) -> list[tuple[str, str, str, str]]:
    """Source, event, guards and destination of each transition that the page tells of a machine."""
    told = []
    for cells in _table(HEADINGS[name]):
        assert len(cells) == CELL_COUNT, cells
        _, sources, events, guard, to, _, _ = cells
        for source, event in product(_words(sources), _words(events)):
            told.append((source, event, guard, source if to == "same" else to))
    return told


@pytest.mark.parametrize("name", MACHINES)
def test_the_page_tells_every_transition_of_a_machine_and_no_other(name: str) -> None:
    machine = MACHINES[name]
    transitions = [
        (source, trigger, " and ".join(step.guards), step.destination)
        for trigger in machine.events
        for source, step in rows(machine, trigger)
    ]
    assert sorted(_told(name)) == sorted(transitions)


@pytest.mark.parametrize("name", MACHINES)
def test_every_row_has_a_number_of_its_own_and_a_test(name: str) -> None:
    table = _table(HEADINGS[name])
    assert [cells[0] for cells in table] == [f"{HEADINGS[name][0]}{number}" for number in range(1, len(table) + 1)]
    for cells in table:
        assert set(_words(cells[-1])) <= set(NAMED), cells[0]


@pytest.mark.parametrize("named", NAMED)
def test_a_test_that_the_page_names_exists(named: str) -> None:
    module, _, function = named.partition("::")
    source = (HERE / f"{module}.py").read_text(encoding="utf-8")
    assert re.search(rf"^\s*(async def|def|class) {function}\b", source, re.MULTILINE)


def test_the_page_tells_every_deadline() -> None:
    assert {cells[0].strip("`") for cells in _table("Deadlines")} == set(Deadline)


def test_the_page_tells_every_reason_of_a_stop_what_it_counts_for_and_what_it_is_called_for_callers() -> None:
    told = {cells[0].strip("`"): (cells[3], cells[4].strip("`")) for cells in _table("Why it stopped")}
    assert told == {
        reason.value: (
            "yes" if reason in CONNECT_FAILURES else "no",
            rejection_of(Stop(reason, None, "")).error.code,
        )
        for reason in StopReason
    }


def test_every_event_of_the_page_is_an_event_of_the_service() -> None:
    families = "|".join({type_.partition(".")[0] for type_ in EVENT_TYPES})
    assert set(re.findall(rf"`((?:{families})\.[a-z]+)`", PAGE)) <= set(EVENT_TYPES)
    assert set(re.findall(rf"^((?:{families})\.[a-z]+) ", PAGE, re.MULTILINE)) <= set(EVENT_TYPES)
