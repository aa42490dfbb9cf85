"""``python -m tests.bench.replication``: see ``--help``."""

from __future__ import annotations

import asyncio
import json
import os
import platform
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Final

import cyclopts
from rich.console import Console
from rich.table import Table

from streams.devstack.postgres import PostgresServer
from streams.settings import Settings
from tests.bench.ground import ground, topics
from tests.bench.measure import Rate
from tests.bench.replication.draining import PAYLOAD_BYTES, drain_both
from tests.bench.replication.latency import Measured, measure, measure_many
from tests.bench.replication.place import tenant_on

PARTITIONS: Final = 8
"""Partitions of every topic."""

app = cyclopts.App(name="bench-replication", help="Measure streaming one tenant's rows, beside pg_recvlogical.")


@app.default
def bench(
    *,
    rows: int = 200_000,
    rounds: int = 5,
    rate: int = 10_000,
    rows_per_transaction: int = 10,
    seconds: int = 20,
    json_file: Annotated[Path | None, cyclopts.Parameter(name="--json")] = None,
) -> None:
    """Measure.

    Args:
        rows: rows that are written in each round before anybody reads them.
        rounds: rounds; medians are shown.
        rate: rows a second at which it is measured how soon they arrive.
        rows_per_transaction: rows of each transaction at that rate.
        seconds: how long rows are written at that rate.
        json_file: also write all figures to this file.
    """
    console = Console()
    load_before = os.getloadavg()[0]
    with ground(console.print) as (kafka, directory):
        # What is measured is not its disk.
        server = PostgresServer(directory / "postgres", fsync=False)
        server.start()
        try:
            settings = _settings(kafka)
            with topics(settings):
                drained, measured = asyncio.run(
                    _measure(console, settings, server, directory, (rows, rounds, rate, rows_per_transaction, seconds))
                )
        finally:
            server.stop()
    console.print(_rates(drained), _latencies(measured, f"{rate:,} rows a second"))
    console.print(f"load average before: {load_before:.1f} on {os.cpu_count()} cores")
    if json_file is not None:
        _write(json_file, _document(drained, measured, load_before))


async def _measure(
    console: Console, settings: Settings, server: PostgresServer, directory: Path, numbers: tuple[int, ...]
) -> tuple[list[tuple[Rate, Rate]], Measured]:
    rows, rounds, rate, rows_per_transaction, seconds = numbers
    database = await tenant_on(server)
    drained = []
    for number in range(rounds):
        console.print(f"round {number + 1} of {rounds}")
        drained.append(await drain_both(settings, database, rows, ours_first=number % 2 == 0))
    console.print(f"{rate} rows a second for {seconds} s")
    measured = await measure(
        settings, database, directory, rate=rate, rows_per_transaction=rows_per_transaction, seconds=seconds
    )
    return drained, measured


@app.command
def many(
    *,
    tenants: int = 200,
    servers: int = 10,
    rate: int = 50,
    rows_per_transaction: int = 10,
    seconds: int = 20,
    json_file: Annotated[Path | None, cyclopts.Parameter(name="--json")] = None,
) -> None:
    """Measure how soon rows of many tenants arrive.

    Args:
        tenants: how many; each has a database.
        servers: servers that they are spread over: one decodes all that is written to it once for each of its streams.
        rate: rows a second of each tenant.
        rows_per_transaction: rows of each transaction.
        seconds: how long rows are written.
        json_file: also write all figures to this file.
    """
    console = Console()
    with ground(console.print) as (kafka, directory), ExitStack() as running:
        settings = _settings(kafka)
        room = {"max_wal_senders": str(tenants), "max_replication_slots": str(tenants), "max_connections": "500"}
        started = [
            PostgresServer(directory / f"postgres-{number}", fsync=False, settings=room) for number in range(servers)
        ]
        for server in started:
            server.start()
            running.callback(server.stop)
        running.enter_context(topics(settings))
        numbers = (tenants, rate, rows_per_transaction, seconds)
        measured = asyncio.run(_measure_many(settings, started, directory, numbers))
    console.print(_latencies(measured, f"{tenants} tenants with {rate} rows a second each"))
    if json_file is not None:
        _write(json_file, {"latency_ms": {name: found._asdict() for name, found in measured._asdict().items()}})


async def _measure_many(
    settings: Settings, servers: Sequence[PostgresServer], directory: Path, numbers: tuple[int, ...]
) -> Measured:
    tenants, rate, rows_per_transaction, seconds = numbers
    databases = {
        name: await tenant_on(servers[number % len(servers)], name)
        for number, name in enumerate(f"tenant_{number:03}" for number in range(tenants))
    }
    return await measure_many(
        settings, databases, directory, rate=rate, rows_per_transaction=rows_per_transaction, seconds=seconds
    )


def _settings(kafka: str) -> Settings:
    return Settings.model_validate({"kafka": kafka, "topic_prefix": "bench-replication", "partitions": PARTITIONS})


def _write(path: Path, document: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _rates(drained: Sequence[tuple[Rate, Rate]]) -> Table:
    table = Table(title=f"Rows of {PAYLOAD_BYTES} bytes a second, medians of {len(drained)} rounds")
    for column in ("what", "rows/s", "slowest-fastest", "CPU µs a row"):
        table.add_column(column, justify="left" if column == "what" else "right")
    names = ("from the WAL to Kafka's acknowledgement", "pg_recvlogical to /dev/null")
    for name, rates in zip(names, zip(*drained, strict=True), strict=True):
        found = [rate.per_second for rate in rates]
        cpu = median(rate.cpu_microseconds for rate in rates)
        table.add_row(name, f"{median(found):,.0f}", f"{min(found):,.0f}-{max(found):,.0f}", f"{cpu:.1f}")
    return table


def _latencies(measured: Measured, what: str) -> Table:
    table = Table(title=f"Milliseconds, {what}")
    for column in ("from, to", "rows", "p50", "p99", "longest"):
        table.add_column(column, justify="left" if column == "from, to" else "right")
    names = ("commit to Kafka's acknowledgement", "writing (commit included) to a reader elsewhere")
    for name, found in zip(names, measured, strict=True):
        table.add_row(name, f"{found.rows:,}", f"{found.p50:.1f}", f"{found.p99:.1f}", f"{found.longest:.1f}")
    return table


def _document(drained: Sequence[tuple[Rate, Rate]], measured: Measured, load_before: float) -> dict[str, Any]:
    return {
        "machine": {"system": platform.platform(), "cores": os.cpu_count(), "load_before": load_before},
        "ours": [ours._asdict() | {"per_second": ours.per_second} for ours, _ in drained],
        "pg_recvlogical": [theirs._asdict() | {"per_second": theirs.per_second} for _, theirs in drained],
        "latency_ms": {name: found._asdict() for name, found in measured._asdict().items()},
    }


if __name__ == "__main__":
    app()
