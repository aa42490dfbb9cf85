"""Findings as tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.table import Table

from tests.model.exploration import Exploration, Finding

Result = tuple[Exploration, Finding]


def visited(results: Iterable[Result]) -> Table:
    """Explorations in which everything must hold."""
    table = Table(
        "explored", "bounds", "states", "depth", "s", "MB", "", title="Every promise holds", title_justify="left"
    )
    for exploration, finding in results:
        table.add_row(
            exploration.title,
            " ".join(f"{name.lower()}={value}" for name, value in exploration.sizes.items()),
            f"{finding.states:,}",
            str(finding.depth),
            f"{finding.seconds:.1f}",
            f"{finding.megabytes:,.0f}",
            _mark(exploration, finding),
        )
    return table


def searched(title: str, results: Iterable[Result]) -> Table:
    """Explorations in which something must be found: what it was, and how many steps there are to it at least."""
    table = Table("", "found", "steps", "states", "s", "", title=title, title_justify="left")
    for exploration, finding in results:
        table.add_row(
            exploration.title,
            finding.verdict or "nothing",
            str(len(finding.steps)),
            f"{finding.states:,}",
            f"{finding.seconds:.1f}",
            _mark(exploration, finding),
        )
    return table


def total(results: Sequence[Result]) -> str:
    """All of it in one line."""
    states = sum(finding.states for _, finding in results)
    seconds = sum(finding.seconds for _, finding in results)
    wrong = sum(not finding.answers(exploration) for exploration, finding in results)
    verdict = f"{wrong} not as they must be" if wrong else "all as they must be"
    return f"{len(results)} explorations, {verdict}: {states:,} states; the verifiers ran for {seconds:.0f} s together."


def story(exploration: Exploration, finding: Finding) -> Iterable[str]:
    """The shortest way to what was found, step by step."""
    yield f"{exploration.title}: {finding.verdict or 'everything held'}"
    yield from (f"{number:4}. {step}" for number, step in enumerate(finding.steps, 1))


def plain(results: Sequence[Result]) -> list[dict[str, Any]]:
    """The same for programs."""
    return [
        {
            "title": exploration.title,
            "model": exploration.model.value,
            "sizes": dict(exploration.sizes),
            "broken": exploration.broken,
            "expected": sorted(exploration.verdicts),
            "found": finding.verdict,
            "steps": finding.steps,
            "states": finding.states,
            "depth": finding.depth,
            "seconds": finding.seconds,
            "megabytes": finding.megabytes,
        }
        for exploration, finding in results
    ]


def _mark(exploration: Exploration, finding: Finding) -> str:
    if finding.answers(exploration):
        return "ok"
    return f"[bold red]WRONG: {finding.verdict or 'nothing was found'}"
