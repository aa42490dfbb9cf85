"""``python -m tests.bench.recovery``: how soon a worker owns its partitions, from the log and from snapshots."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import cyclopts
from rich.console import Console
from rich.table import Table

from statemachine.events import Claimed, ConnectPaused, ConnectResumed
from statemachine.fold import fold
from statemachine.state import TenantState
from streams.kafka.clients import producer
from streams.kafka.partitioner import partition_of
from streams.settings import Settings
from streams.settings.theme import PREFIX
from streams.topics import Topics
from streams.wire.event import Origin, encode_claim, encode_event, source_of
from tests.bench.contender import Contender
from tests.bench.ground import environment, ground, topics
from tests.bench.measure import Rate
from tests.bench.verification import verify_ours
from tests.bench.workload import FLUSH_TIMEOUT_S, Keyed, Workload, load

PARTITIONS: Final = 8
"""Partitions of every topic."""

TOPIC_PREFIX: Final = "bench-recovery"
NEVER_MS: Final = 3_600_000
"""An interval that no start lasts for: a snapshot is written when the worker stops."""

QUIET: Final = "nothing"
"""The phase that is sampled: none."""

app = cyclopts.App(name="bench-recovery", help="Measure how soon a worker owns its partitions, with a snapshot or not.")


class Recovery(NamedTuple):
    """One start of a worker.

    Attributes:
        how: from what.
        rate: records read from the log, and the time from being assigned partitions to owning them.
    """

    how: str
    rate: Rate


class Place(NamedTuple):
    """Where a worker is started again and again.

    Attributes:
        kafka: bootstrap servers.
        directory: where its processes run, and keep snapshots.
    """

    kafka: str
    directory: Path

    def variables(self, interval_ms: int) -> dict[str, str]:
        """The worker's settings."""
        return {
            **environment(self.kafka, TOPIC_PREFIX, PARTITIONS, "bench-recovery"),
            f"{PREFIX}DATA_DIR": str(self.directory / "data"),
            f"{PREFIX}SNAPSHOT_INTERVAL_MS": str(interval_ms),
        }

    def start(self, how: str, interval_ms: int) -> Recovery:
        """Start the worker, wait until it owns everything, and stop it, so that it leaves a snapshot."""
        directory = self.directory / f"{how} {time.monotonic_ns()}"
        arguments = (QUIET, str(directory / "samples"))
        with Contender("tests.bench.ours", directory, arguments, self.variables(interval_ms)) as worker:
            found = worker.reach("owned")
        assigned, owned = found["assigned"], found["owned"]
        return Recovery(how, Rate(owned.records, owned.at - assigned.at, owned.cpu - assigned.cpu))


def claim(settings: Settings, topic: str) -> None:
    """The owner's claims, at the beginning of each partition."""
    writer = producer(settings)
    for partition in range(settings.partitions):
        body = encode_claim(Claimed("w0", 0), source=source_of(settings.region, partition), time=datetime.now(UTC))
        writer.produce(topic, value=body, partition=partition)
    writer.flush(FLUSH_TIMEOUT_S)


def log_of(workload: Workload, region: str, partitions: int = PARTITIONS) -> Iterator[Keyed]:
    """The events of a workload, as one owner writes them: each tenant is paused, resumed, and so on."""
    now = datetime.now(UTC)
    states = {name: TenantState(name) for name in workload.names()}
    places = {name: partition_of(name, partitions) for name in states}
    for _ in range(workload.commands // workload.tenants):
        for name, state in states.items():
            data = ConnectResumed() if state.pause else ConnectPaused("bench", "bench")
            origin = Origin(source_of(region, places[name]), 0, "bench")
            event, body = encode_event(state, data, now, origin)
            states[name] = fold(state, event)
            yield name, places[name], body


@app.default
def bench(
    *,
    events: int = 1_000_000,
    tenants: int = 100_000,
    rounds: int = 3,
    json_file: Annotated[Path | None, cyclopts.Parameter(name="--json")] = None,
) -> None:
    """Measure.

    Args:
        events: events on the log.
        tenants: tenants that they are of, in turn.
        rounds: rounds.
        json_file: also write all figures to this file.
    """
    console = Console()
    load_before = os.getloadavg()[0]
    found: list[Recovery] = []
    with ground(console.print) as (kafka, directory):
        place = Place(kafka, directory)
        settings = Settings.load({**os.environ, **place.variables(0)})
        workload, topic = Workload(events, tenants, PARTITIONS), Topics(settings).events
        with topics(settings):
            console.print(f"writing {events:,} events of {tenants:,} tenants")
            claim(settings, topic)
            load(settings, topic, log_of(workload, settings.region))
            verify_ours(settings, topic, workload, PARTITIONS)
            place.start("the log, leaving the first snapshot", NEVER_MS)
            for _ in range(rounds):
                found += [place.start("the log", 0), place.start("snapshots", NEVER_MS)]
    console.print(table(found))
    console.print(f"load average before: {load_before:.1f} on {os.cpu_count()} cores")
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(document(found, load_before), indent=2) + "\n", encoding="utf-8")


def table(found: list[Recovery]) -> Table:
    """The figures of every start."""
    made = Table(title="From being assigned partitions to owning them")
    for column in ("from", "records read", "seconds", "processor seconds"):
        made.add_column(column)
    for how, rate in found:
        made.add_row(how, f"{rate.records:,}", f"{rate.seconds:.2f}", f"{rate.cpu_seconds:.2f}")
    return made


def document(found: list[Recovery], load_before: float) -> dict[str, Any]:
    """The figures as JSON."""
    starts = [{"from": how, **rate._asdict()} for how, rate in found]
    return {"starts": starts, "load_average": load_before, "cores": os.cpu_count()}


if __name__ == "__main__":
    app()
