"""``python -m tests.model``: see ``--help``."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Final

import cyclopts
from rich.console import Console

from tests.model import report
from tests.model.catalogue import BROKEN, DEEP, SITUATIONS, USUAL
from tests.model.exploration import Exploration
from tests.model.report import Result
from tests.model.spin import CheckerFailed, explore

JOBS: Final = 2
"""Explorations at a time."""

WIDTH_MIN: Final = 110
"""Characters of a line that the tables need."""

app = cyclopts.App(name="model", help="Explore the protocol models, and refute every rule that is left out.")


def explored(explorations: Sequence[Exploration], jobs: int) -> list[Result]:
    """Explore all, several at a time."""

    def one(exploration: Exploration) -> Result:
        with tempfile.TemporaryDirectory(prefix="model-") as directory:
            return exploration, explore(exploration, Path(directory))

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, explorations))


@app.default
def model(
    *,
    deep: bool = False,
    story: str | None = None,
    jobs: int = JOBS,
    json_file: Annotated[Path | None, cyclopts.Parameter(name="--json")] = None,
) -> None:
    """Explore and print tables; the exit code is 1 where something is not as it must be.

    Args:
        deep: larger sizes, and nothing else; takes up to half an hour.
        story: tell only the counterexample of a rule that is left out, or the way to a situation; its macro or name.
        jobs: explorations at a time.
        json_file: where to write the findings.
    """
    console = Console()
    console.width = max(console.width, WIDTH_MIN)
    try:
        if story is not None:
            wanted = [one for one in (*BROKEN, *SITUATIONS) if story == one.broken or story in one.verdicts][:1]
            for exploration, finding in explored(wanted, jobs):
                console.print("\n".join(report.story(exploration, finding)), highlight=False)
            sys.exit(not wanted)
        results = _tables(console, deep=deep, jobs=jobs)
        console.print(report.total(results), highlight=False)
    except CheckerFailed as error:
        console.print(f"model: {error}", style="bold red", markup=False)
        sys.exit(2)
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(report.plain(results), indent=2) + "\n")
    sys.exit(not all(finding.answers(exploration) for exploration, finding in results))


def _tables(console: Console, *, deep: bool, jobs: int) -> list[Result]:
    held = explored(DEEP if deep else USUAL, jobs)
    console.print(report.visited(held))
    if deep:
        return held
    refuted = explored(BROKEN, jobs)
    console.print(report.searched("Every rule is needed: without it, the shortest way to a broken promise", refuted))
    reached = explored(SITUATIONS, jobs)
    console.print(report.searched("What the explorations come through", reached))
    return [*held, *refuted, *reached]


if __name__ == "__main__":
    app()
