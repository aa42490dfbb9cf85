"""``python -m tests.bench.connect``: see ``--help``."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Annotated, Final

import cyclopts
from rich.console import Console
from rich.table import Table

from streams.devstack.postgres import PostgresServer
from tests.bench.connect import databases
from tests.bench.connect.course import Course, Held
from tests.bench.ground import ground

PROGRESS_EVERY: Final = 100
"""Tenants between two words about how far it is."""

app = cyclopts.App(name="bench-connect", help="Connect many tenants, beside a bare script that asks the same.")


@app.default
def bench(
    *,
    tenants: int = 1000,
    streamed: int = 200,
    single: int = 30,
    at_once: int = 16,
    json_file: Annotated[Path | None, cyclopts.Parameter(name="--json")] = None,
) -> None:
    """Measure.

    Args:
        tenants: tenants that are connected and held, without streaming.
        streamed: tenants that are connected and streamed.
        single: tenants that are connected one after another.
        at_once: tenants that are connected at once, on both sides.
        json_file: also write all figures to this file.
    """
    console = Console()
    with ground(console.print) as (kafka, directory):
        server = databases.server(directory / "postgres", tenants)
        server.start()
        try:
            found = _measure(console, Course(kafka, server, directory, at_once), server, (tenants, streamed, single))
        finally:
            server.stop()
    console.print(_table(found))
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps({name: asdict(held) for name, held in found.items()}, indent=1))


@app.command
def herd(*, tenants: int = 1000, used: int = 20, connections: int = 100, at_once: int = 16) -> None:
    """Want all tenants at once, on a server that has no room for most of them, after their worker was killed.

    Args:
        tenants: tenants that are wanted.
        used: the last of them, which somebody uses.
        connections: the server's ``max_connections``.
        at_once: tenants that a worker works on at once.
    """
    console = Console()
    with ground(console.print) as (kafka, directory):
        server = databases.server(directory / "postgres", tenants, connections_max=connections)
        server.start()
        try:
            names = databases.names(tenants)
            asyncio.run(databases.create(server, names, lambda _: None))
            course = Course(kafka, server, directory, at_once)
            console.print(asyncio.run(course.herd(names, names[-used:])))
        finally:
            server.stop()


def _measure(
    console: Console, course: Course, server: PostgresServer, numbers: tuple[int, int, int]
) -> dict[str, Held]:
    tenants, streamed, single = numbers
    names = databases.names(tenants)

    def told(what: str) -> databases.Progress:
        def progress(done: int) -> None:
            if done % PROGRESS_EVERY == 0:
                console.print(f"{what}: {done}")

        return progress

    def wiped(number: int) -> list[str]:
        asyncio.run(databases.wipe(server, names[:number], told("set back")))
        return names[:number]

    asyncio.run(databases.create(server, names, told("databases")))
    return {
        "one by one, bare": course.bare(names[:single], one_by_one=True),
        "one by one": asyncio.run(course.ours_one_by_one(wiped(single), told("one by one"))),
        "held, bare": course.bare(wiped(tenants), one_by_one=False),
        "held": course.ours(wiped(tenants), "off", told("held")),
        "streamed": course.ours(wiped(streamed), "durable", told("streamed")),
    }


def _table(found: dict[str, Held]) -> Table:
    table = Table(title="Connecting tenants")
    for column in ("what", "tenants", "seconds", "p50 each, ms", "KB each", "descriptors each"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for name, held in found.items():
        each = f"{median(held.each) * 1000:.1f}" if held.each else "-"
        figures = (f"{held.seconds:.1f}", each, f"{held.kilobytes:.0f}", f"{held.descriptors:.1f}")
        table.add_row(name, str(held.tenants), *figures)
    return table


if __name__ == "__main__":
    app()
