"""``python -m tests.bench.handover``: see ``--help``."""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Final

import cyclopts
from rich.console import Console
from rich.table import Table

from streams.topics import Topics
from tests.bench.ground import ground
from tests.bench.handover import takeover
from tests.bench.handover.load import Load
from tests.bench.handover.pauses import Change, Pauses, pauses
from tests.bench.handover.sides import SIDES, Found, Ours, Side
from tests.bench.workload import Workload, load

SETTLE_S: Final = 8.0
"""How long a change is looked at, and the next one waits."""

CRASH_SETTLE_S: Final = 15.0
"""The same after a worker vanished: the group waits for it first."""

DRAIN_TIMEOUT_S: Final = 120.0
DRAIN_LOOK_S: Final = 1.0

UNMOVED_BAR_S: Final = 1.0
"""For how long commands of a partition that stays may wait."""

MOVED_BAR_S: Final = 2.0
COMMANDS_MAX: Final = 10_000_000

app = cyclopts.App(name="bench-handover", help="Measure how long commands wait while workers come and go.")


@dataclass(frozen=True)
class Seen:
    """What a kind of change cost, in seconds.

    Attributes:
        changes: how often it was made.
        unmoved: longest pause of each partition that stayed where it was.
        moved: longest pause of each that moved.
    """

    changes: int
    unmoved: Sequence[float]
    moved: Sequence[float]


@app.default
def bench(
    *,
    partitions: int = 12,
    tenants: int = 600,
    rate: int = 2000,
    rounds: int = 3,
    stock_rate: int = 600,
    json_file: Annotated[Path | None, cyclopts.Parameter(name="--json")] = None,
) -> None:
    """Measure.

    Args:
        partitions: of every topic.
        tenants: whose commands they are.
        rate: commands a second that the service is given.
        rounds: how often each change is made.
        stock_rate: commands a second that the Faust application is given; it takes no more.
        json_file: also write all figures to this file.
    """
    console = Console()
    load_before = os.getloadavg()[0]
    found: dict[str, dict[str, Seen]] = {}
    with ground(console.print) as (kafka, directory):
        for name, side in SIDES.items():
            per_second = rate if side is Ours else stock_rate
            at = side(kafka, directory, partitions)
            try:
                found[name] = _measured(at, tenants, per_second, rounds, console.print)
            finally:
                at.close()
    console.print(_table(found))
    console.print(f"load average before: {load_before:.1f} on {os.cpu_count()} cores")
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        document = {name: {what: asdict(seen) for what, seen in each.items()} for name, each in found.items()}
        json_file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


@app.command(name="crash")
def crash(
    *,
    partitions: int = 8,
    events: int = 1_000_000,
    tenants: int = 100_000,
    rounds: int = 3,
    settle: float = 30.0,
    json_file: Annotated[Path | None, cyclopts.Parameter(name="--json")] = None,
) -> None:
    """Measure how soon clients are answered again after a crash, with a long log.

    Args:
        partitions: of every topic.
        events: events on the log.
        tenants: tenants that they are of, in turn.
        rounds: rounds.
        settle: seconds that workers have before one of them is killed.
        json_file: also write all figures to this file.
    """
    console = Console()
    load_before = os.getloadavg()[0]
    with ground(console.print) as (kafka, directory):
        found = takeover.measure(
            kafka,
            directory,
            partitions=partitions,
            events=events,
            tenants=tenants,
            rounds=rounds,
            settle_s=settle,
            progress=console.print,
        )
    table = Table(title=f"Seconds without an answer after a crash; the bar is {takeover.BAR_S:g}")
    for column in ("the survivor has", "times", "unmoved p50", "unmoved max", "moved p50", "moved max", "unanswered"):
        table.add_column(column, justify="left" if column == "the survivor has" else "right")
    for way in takeover.WAYS:
        table.add_row(*takeover.row([each for each in found if each.way == way], way))
    console.print(table)
    console.print(f"load average before: {load_before:.1f} on {os.cpu_count()} cores")
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(takeover.document(found), indent=1) + "\n", encoding="utf-8")


def _measured(
    side: Side, tenants: int, per_second: int, rounds: int, progress: Callable[[str], None]
) -> dict[str, Seen]:
    workload = Workload(COMMANDS_MAX, tenants, side.settings.partitions)
    if isinstance(side, Ours):
        load(side.settings, Topics(side.settings).tenants, workload.catalog(side.settings.region))
    side.start("w1")
    side.start("w2")
    changes: list[Change] = []
    with Load(side.settings, side.commands, workload.stream(), per_second) as commands:
        time.sleep(SETTLE_S)
        for number in range(rounds):
            progress(f"{side.name}: round {number + 1} of {rounds}")
            changes += _one_round(side)
    found = _drained(side, commands.sent)
    missing = commands.sent - found.written
    progress(f"{side.name}: {commands.sent} commands, {missing} without an event, {found.twice} with more than one")
    if isinstance(side, Ours) and (missing or found.twice):
        raise SystemExit("every command has to lead to one event that counts")
    grouped: defaultdict[str, list[Change]] = defaultdict(list)
    for change in changes:
        grouped[change.what].append(change)
    return {what: _seen([pauses(found.events, found.claims, each) for each in kind]) for what, kind in grouped.items()}


def _one_round(side: Side) -> list[Change]:
    def made(what: str, act: Callable[[], None], settle_s: float = SETTLE_S, anew: str | None = None) -> Change:
        begun = time.time()
        act()
        time.sleep(settle_s)
        return Change(what, begun, time.time(), anew)

    def restart() -> None:
        side.stop("w2")
        side.start("w2")

    changes = [
        made("a worker joins", lambda: side.start("w3")),
        made("a worker is restarted", restart, anew="w2"),
        made("a worker leaves", lambda: side.stop("w3")),
    ]
    if isinstance(side, Ours):
        side.start("w3")
        time.sleep(SETTLE_S)
        changes.append(made("a worker is killed", lambda: side.kill("w3"), CRASH_SETTLE_S))
    return changes


def _drained(side: Side, sent: int) -> Found:
    """What was written, once all commands led to an event, or nothing more is to be waited for."""
    deadline = time.monotonic() + DRAIN_TIMEOUT_S
    while (found := side.found()).written < sent and time.monotonic() < deadline:
        time.sleep(DRAIN_LOOK_S)
    return found


def _seen(found: Sequence[Pauses]) -> Seen:
    unmoved = [pause for each in found for pause in each.unmoved.values()]
    moved = [pause for each in found for pause in each.moved.values()]
    return Seen(len(found), unmoved, moved)


def _table(found: dict[str, dict[str, Seen]]) -> Table:
    bars = f"the bars are {UNMOVED_BAR_S * 1000:,.0f} where it stayed and {MOVED_BAR_S * 1000:,.0f} where it moved"
    table = Table(title=f"Milliseconds without an event, the longest of each partition; {bars}")
    for column in ("", "what", "times", "unmoved p50", "unmoved max", "moved p50", "moved max"):
        table.add_column(column, justify="left" if column in {"", "what"} else "right")
    for name, kinds in found.items():
        for what, seen in kinds.items():
            figures = [_ms(how, each) for each in (seen.unmoved, seen.moved) for how in (median, max)]
            table.add_row(name, what, str(seen.changes), *figures)
    return table


def _ms(how: Callable[[Sequence[float]], float], seconds: Sequence[float]) -> str:
    return f"{how(seconds) * 1000:,.0f}" if seconds else "-"


if __name__ == "__main__":
    app()
