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
        return "as it must be"
    return f"[bold red]NOT as it must be: {finding.verdict or 'nothing was found'}"
