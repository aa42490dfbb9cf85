"""``python -m tests.chaos``: see ``--help``."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Final

import cyclopts
from rich.console import Console
from rich.table import Table

from tests.chaos.checker import check
from tests.chaos.directories import DirectoryTaken, alone_in
from tests.chaos.fold import Log
from tests.chaos.lateness import taken_over
from tests.chaos.nemeses import ROUNDS
from tests.chaos.outages import Outage
from tests.chaos.place import PARTITIONS, place
from tests.chaos.play import Script, play
from tests.chaos.stage import HEALED_S
from tests.chaos.tenants import Numbers
from tests.chaos.verdicts import WRONG, Verdict, exit_code, left_out

FINDINGS_SHOWN_MAX: Final = 20

UNFENCED_PATIENCE_S: Final = 5.0
"""How long to wait for service where workers have no fence: they write logs that none can read."""

app = cyclopts.App(name="chaos", help="Pull real plugs under load, and judge what is left.")


@app.default
def chaos(
    *,
    seed: int = 1,
    rounds: int = 0,
    only: str = "",
    refused: int = 300,
    databases: int = 24,
    rate: float = 60.0,
    unfenced: bool = False,
    allow_left_out: bool = False,
    keep: Annotated[Path | None, cyclopts.Parameter(name="--keep")] = None,
    json_file: Annotated[Path | None, cyclopts.Parameter(name="--json")] = None,
) -> None:
    """Play rounds, one kind after the other.

    Ends with 0 if all is well, 1 if anything is wrong, and 2 if nothing is but faults were left out.

    Args:
        seed: decides when what goes wrong, and with whom.
        rounds: how many; each kind once when left out.
        only: kinds, with commas between: F1, F2, F3, F3x3, F4 … F10, clock.
        refused: tenants without a database.
        databases: tenants with one; every second one is streamed.
        rate: commands a second, besides those that ask whether anybody answers.
        unfenced: switch the fence off in every worker: ends with 0 if that was found out in every round, 1 if not.
        allow_left_out: end with 0 also where this machine cannot do every fault: without Go, or for others than root.
        keep: a directory for what workers, brokers and databases wrote, for one program at a time; a passing one when
            left out.
        json_file: also write all figures to this file.
    """
    kinds = [kind.strip() for kind in only.split(",") if kind.strip()] or list(ROUNDS)
    unknown = sorted(set(kinds) - ROUNDS.keys())
    if unknown:
        sys.exit(f"unknown: {', '.join(unknown)}; there are {', '.join(ROUNDS)}")
    console = Console()
    schedule = [(kinds[number % len(kinds)], seed + number) for number in range(rounds or len(kinds))]
    console.print(f"seed {seed}: " + ", ".join(f"{kind} ({each})" for kind, each in schedule))
    numbers = Numbers(refused, databases - databases // 2, databases // 2)
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as passing:
        directory = (keep or Path(passing)).absolute()
        words = ("--unfenced",) if unfenced else ()
        try:
            with alone_in(directory):
                verdicts = asyncio.run(_play_all(console, directory, schedule, numbers, rate, words))
        except DirectoryTaken as error:
            console.print(f"{error}", style="bold red", markup=False)
            sys.exit(WRONG)
    for table in (_kinds_table(verdicts), _rounds_table(verdicts)):
        console.print(table)
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps([_figures(verdict) for verdict in verdicts], indent=1))
    _tell_left_out(console, verdicts)
    sys.exit(exit_code(verdicts, allow_left_out=allow_left_out))


async def _play_all(
    console: Console,
    directory: Path,
    schedule: Sequence[tuple[str, int]],
    numbers: Numbers,
    rate: float,
    words: tuple[str, ...],
) -> list[Verdict]:
    """Rounds in places with one broker first, then those with three: a place takes a while to make."""
    verdicts: list[Verdict] = []
    for brokers in sorted({ROUNDS[kind].brokers for kind, _ in schedule}):
        async with place(directory / f"brokers-{brokers}", brokers=brokers) as where:
            for kind, seed in schedule:
                if ROUNDS[kind].brokers != brokers:
                    continue
                console.print(f"{kind}, seed {seed}: {(ROUNDS[kind].nemesis.__doc__ or '').partition(': ')[2] or kind}")
                began = time.monotonic()
                nemesis, _, workers = ROUNDS[kind]
                chance = random.Random(f"{kind} {seed}").getrandbits(64)
                patience_s = UNFENCED_PATIENCE_S if words else HEALED_S
                script = Script(kind, nemesis, chance, numbers, rate, workers, words, patience_s)
                played = await play(where, script, console.print)
                findings = check(played.evidence, PARTITIONS)
                verdicts.append(Verdict(kind, seed, time.monotonic() - began, played, findings, bool(words)))
                _tell(console, verdicts[-1])
    return verdicts


def _tell(console: Console, verdict: Verdict) -> None:
    evidence = verdict.played.evidence
    rows = sum(map(len, evidence.committed.values()))
    console.print(
        f"  {verdict.seconds:.0f} s, {len(evidence.calls)} calls, {len(evidence.events)} records, {rows} rows: "
        f"[bold {'green' if verdict.well else 'red'}]{verdict.word}[/]"
    )
    for finding in verdict.findings[:FINDINGS_SHOWN_MAX]:
        console.print(f"  {finding}", style="red", markup=False)
    if verdict.played.problem:
        console.print(f"  {verdict.played.problem}", style="red", markup=False)
    for fault in verdict.played.faults:
        if fault.became:
            console.print(f"  {fault.kind}: {fault.became}", markup=False)
    for ending in evidence.endings:
        if not ending.asked and not ending.died:
            console.print(f"  {ending.worker} ended by itself: {ending.said or ending.code}", markup=False)
    for skipped in verdict.played.skipped:
        console.print(f"  left out: {skipped}", style="yellow", markup=False)


def _tell_left_out(console: Console, verdicts: Sequence[Verdict]) -> None:
    """The last word: what was not tried at all."""
    faults = list(left_out(verdicts))
    if faults:
        console.print(f"NOT ALL FAULTS WERE TRIED: {len(faults)} left out", style="bold red", markup=False)
    for fault in faults:
        console.print(f"  {fault}", style="red", markup=False)


def _kinds_table(verdicts: Sequence[Verdict]) -> Table:
    table = Table(title="Time without an answer, by kind of fault")
    for column in ("fault", "injected", "owned", "lasted, s", "silent p50, s", "longest, s"):
        table.add_column(column, justify="left" if column == "fault" else "right")
    found: defaultdict[str, list[Outage]] = defaultdict(list)
    for verdict in verdicts:
        for outage in verdict.played.outages:
            found[outage.kind].append(outage)
    for kind, outages in found.items():
        silent = [outage.silent for outage in outages]
        lasted = median(outage.lasted for outage in outages)
        owned = _span([outage.owned for outage in outages if outage.owned is not None])
        table.add_row(kind, f"{len(outages)}", owned, f"{lasted:.1f}", f"{median(silent):.1f}", f"{max(silent):.1f}")
    return table


def _span(owned: Sequence[int]) -> str:
    """How many partitions those owned who were hit, the least and the most; nothing where no owner was meant."""
    if not owned:
        return ""
    return f"{min(owned)}" if min(owned) == max(owned) else f"{min(owned)} to {max(owned)}"


def _rounds_table(verdicts: Sequence[Verdict]) -> Table:
    table = Table(title="Rounds")
    for column in ("round", "seed", "s", "calls", "acknowledged", "events", "rows", "ended by themselves", "wrong"):
        table.add_column(column, justify="left" if column == "round" else "right")
    for verdict in verdicts:
        figures = _figures(verdict)
        names = ("seed", "seconds", "calls", "acknowledged", "events", "rows", "ended", "wrong")
        table.add_row(verdict.name, *(str(figures[name]) for name in names))
    return table


def _figures(verdict: Verdict) -> dict[str, Any]:
    evidence = verdict.played.evidence
    return {
        "round": verdict.name,
        "seed": verdict.seed,
        "seconds": round(verdict.seconds),
        "calls": len(evidence.calls),
        "acknowledged": sum(call.ok for call in evidence.calls),
        "events": len(evidence.events),
        "rows": sum(map(len, evidence.committed.values())),
        "faults": [fault._asdict() for fault in verdict.played.faults],
        "outages": [outage._asdict() for outage in verdict.played.outages],
        "ended": verdict.played.ended.total(),
        "endings": [ending._asdict() for ending in evidence.endings],
        "deadlines taken over": taken_over(Log(evidence.events)),
        "well": verdict.well,
        "wrong": len(verdict.findings) + (verdict.played.problem is not None),
        "findings": [str(finding) for finding in verdict.findings],
        "problem": verdict.played.problem,
        "skipped": verdict.played.skipped,
    }


if __name__ == "__main__":
    app()
