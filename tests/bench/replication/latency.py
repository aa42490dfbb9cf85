"""How soon a row is visible to whoever reads the broadcasts, at a steady rate."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any, Final, NamedTuple

from streams.catalog.entry import Database
from streams.devstack.cluster import find_binaries
from streams.kafka.partitioner import partition_of
from streams.settings import Settings
from streams.topics import Topics
from tests.bench.contender import ROOT
from tests.bench.replication.place import TENANT, Counter, delivering, streamed, streaming

WRITERS: Final = 4
"""Sessions that write at once."""

SPARE_S: Final = 5.0
"""How much longer the reader reads than the writers write."""

SCRIPT: Final = """
insert into realtime.messages (topic, extension, event, private, payload)
select 'room:1', 'broadcast', 'event', false,
       jsonb_build_object('at', extract(epoch from clock_timestamp()), 'text', repeat('x', 155))
  from generate_series(1, {rows});
"""
"""The time is taken when a row is written, before the commit: what is measured has the commit in it."""


class Latency(NamedTuple):
    """Milliseconds that rows took.

    Attributes:
        rows: that were counted.
        p50: half of them took no longer.
        p99: nor did 99 of a hundred.
        longest: and this was the longest.
    """

    rows: int
    p50: float
    p99: float
    longest: float


class Measured(NamedTuple):
    """Two views of the same rows.

    Attributes:
        acknowledged: from the commit, by the server's clock, to Kafka's acknowledgement.
        visible: from the writing of a row to its arrival at a reader in another process.
    """

    acknowledged: Latency
    visible: Latency


async def measure(
    settings: Settings, database: Database, directory: Path, *, rate: int, rows_per_transaction: int, seconds: int
) -> Measured:
    """Write at a steady rate, of rows a second, and look at both ends."""
    script = directory / "write.sql"
    script.write_text(SCRIPT.format(rows=rows_per_transaction), encoding="utf-8")
    counter = Counter()
    async with (
        streaming(settings, database, counter),
        _reader(settings, [partition_of(TENANT, settings.partitions)], seconds) as reader,
    ):
        await _write(database, script, rate // rows_per_transaction, seconds, WRITERS)
        output, _errors = await reader.communicate()
    return Measured(_latency(counter.latencies_ms), _latency(json.loads(output)))


async def measure_many(
    settings: Settings,
    databases: Mapping[str, Database],
    directory: Path,
    *,
    rate: int,
    rows_per_transaction: int,
    seconds: int,
) -> Measured:
    """Write to many tenants at a steady rate each, of rows a second, and look at both ends."""
    script = directory / "write.sql"
    script.write_text(SCRIPT.format(rows=rows_per_transaction), encoding="utf-8")
    counter = Counter()
    async with delivering(settings) as delivery, AsyncExitStack() as streams:
        for tenant, database in databases.items():
            await streams.enter_async_context(streamed(tenant, database, counter, delivery))
        async with _reader(settings, range(settings.partitions), seconds) as reader:
            writing = [_write(each, script, rate // rows_per_transaction, seconds, 1) for each in databases.values()]
            await asyncio.gather(*writing)
            output, _errors = await reader.communicate()
    return Measured(_latency(counter.latencies_ms), _latency(json.loads(output)))


@asynccontextmanager
async def _reader(settings: Settings, partitions: Iterable[int], seconds: float) -> AsyncIterator[Any]:
    where = (settings.kafka, Topics(settings).broadcasts, ",".join(map(str, partitions)))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.replication.arrivals", *where, str(seconds + SPARE_S)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        await process.stderr.readline()
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _write(database: Database, script: Path, transactions_per_second: int, seconds: int, writers: int) -> None:
    process = await asyncio.create_subprocess_exec(
        *(str(find_binaries() / "pgbench"), "--no-vacuum", f"--file={script}", f"--rate={transactions_per_second}"),
        *(f"--client={writers}", "--jobs=1", f"--time={seconds}"),
        *(f"--host={database.host}", f"--port={database.port}", f"--username={database.user}", database.name),
        env={**os.environ, "PGPASSWORD": database.password.get_secret_value()},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _output, errors = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"pgbench ended with {process.returncode}: {errors.decode(errors='replace')[-500:]}")


def _latency(found: list[float]) -> Latency:
    cut = quantiles(found, n=100)
    return Latency(len(found), cut[49], cut[98], max(found))
