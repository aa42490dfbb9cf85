"""``python -m tests.bench``: see ``--help``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import cyclopts
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.bench import report
from tests.bench.ground import ground
from tests.bench.ours import COMMANDS, REBUILD
from tests.bench.rounds import Course, Leg, run_round
from tests.bench.workload import Workload

PARTITIONS: Final = 8
"""Partitions of every topic, on both sides."""

REGION: Final = "local"
"""Platform and serving region of every tenant: the settings' default, which serves itself."""

PROFILE_ROWS: Final = 25
"""Functions that a profile shows."""

app = cyclopts.App(name="bench", help="Measure this service against a plain Faust application, on the same broker.")


@contextmanager
def prepared(console: Console, workload: Workload, stock_workload: Workload, *, sampled: bool) -> Iterator[Course]:
    """A broker, a directory, the catalog, and a bar that shows how far a measurement is."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with ground(console.print) as (kafka, directory), Progress(*columns, console=console) as bar:
        task = bar.add_task("writing the catalog", total=None)
        catalog = workload.catalog(REGION)

        def begun(what: str, records: int) -> None:
            bar.reset(task, description=what, total=records)

        def progress(records: int) -> None:
            bar.update(task, completed=records)

        yield Course(kafka, directory, workload, stock_workload, catalog, begun, progress, sampled)


@app.default
def bench(
    *,
    commands: int = 200_000,
    stock_commands: int = 30_000,
    tenants: int = 20_000,
    rounds: int = 3,
    profile: bool = False,
    json_file: Annotated[Path | None, cyclopts.Parameter(name="--json")] = None,
) -> None:
    """Measure.

    Args:
        commands: commands that the service is given in each round.
        stock_commands: commands of the same stream that the Faust application is given: rates are compared.
        tenants: tenants that they are for, in turn.
        rounds: rounds; medians are shown.
        profile: sample the service instead, once, and show where its processor time goes.
        json_file: also write all figures to this file.
    """
    console = Console()
    load_before = os.getloadavg()[0]
    workload, stock_workload = (Workload(count, tenants, PARTITIONS) for count in (commands, stock_commands))
    with prepared(console, workload, stock_workload, sampled=profile) as course:
        if profile:
            show_profile(course, console)
            return
        found = [run_round(course, number) for number in range(rounds)]
    console.print(report.table(found))
    console.print(f"load average before: {load_before:.1f} on {os.cpu_count()} cores")
    if json_file is not None:
        made = report.document(found, workload, stock_workload, load_before)
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")


def show_profile(course: Course, console: Console) -> None:
    """Sample both ways of a command and the rebuild; slower than unwatched, and so no figure to quote."""
    direct, routed = Leg(course, "direct"), Leg(course, "routed")
    direct.ours(routed=False)
    routed.ours(routed=True)
    for title, leg, phase in (
        ("commands decided directly", direct, COMMANDS),
        ("rebuild", direct, REBUILD),
        ("commands through the router", routed, COMMANDS),
    ):
        samples = json.loads(leg.samples(phase).read_text(encoding="utf-8"))
        console.print(report.profile_table(title, samples, course.workload.commands, PROFILE_ROWS))


if __name__ == "__main__":
    app()
