"""How many rows a second, from the WAL to Kafka's acknowledgement; and to nowhere, by PostgreSQL's own program."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any, Final

import asyncpg

from streams.catalog.entry import Database
from streams.devstack.cluster import find_binaries
from streams.replication.stream import Stream
from streams.settings import Settings
from streams.tenantdb.naming import PUBLICATION
from tests.bench.measure import Rate
from tests.bench.replication.place import Counter, streaming

PAYLOAD_BYTES: Final = 200
ROWS_PER_TRANSACTION: Final = 100
SLOT: Final = "pg_recvlogical"
LOOK_INTERVAL_S: Final = 0.002
WRITE_TIMEOUT_S: Final = 600.0
DRAIN_TIMEOUT_S: Final = 600.0

WRITE: Final = f"""
do $block$
begin
  for i in 1..{{transactions}} loop
    insert into realtime.messages (topic, extension, event, private, payload)
    select 'room:1', 'broadcast', 'event', false, jsonb_build_object('text', repeat('x', {PAYLOAD_BYTES - 12}))
      from generate_series(1, {ROWS_PER_TRANSACTION});
    commit;
  end loop;
end
$block$
"""  # noqa: S608  # put together from constants of this module


async def drain_both(settings: Settings, database: Database, rows: int, *, ours_first: bool) -> tuple[Rate, Rate]:
    """Write rows, and only then let both read them, one after the other; ours, and PostgreSQL's program."""
    counter = Counter()
    async with streaming(settings, database, counter) as stream:
        _hold(stream)
        session = await _session(database)
        try:
            await session.fetchval("select pg_create_logical_replication_slot($1, 'pgoutput')", SLOT)
            await session.execute(WRITE.format(transactions=rows // ROWS_PER_TRANSACTION), timeout=WRITE_TIMEOUT_S)
            end = await session.fetchval("select pg_current_wal_flush_lsn()::text")
            ours = await _ours(stream, counter, rows) if ours_first else None
            theirs = await _theirs(database, str(end), rows)
            ours = ours or await _ours(stream, counter, rows)
        finally:
            await session.execute("select pg_drop_replication_slot($1)", SLOT)
            await session.close()
    return ours, theirs


async def _session(database: Database) -> Any:
    return await asyncpg.connect(
        host=database.host,
        port=database.port,
        user=database.user,
        password=database.password.get_secret_value(),
        database=database.name,
    )


def _hold(stream: Stream) -> None:
    stream._prepared.session.unwatch()


async def _ours(stream: Stream, counter: Counter, rows: int) -> Rate:
    begun, cpu = time.perf_counter(), time.process_time()
    async with asyncio.timeout(DRAIN_TIMEOUT_S):
        stream._prepared.session.watch(stream._pump._readable)
        while counter.rows < rows:  # noqa: ASYNC110  the observer is a plain function: it wakes nobody
            await asyncio.sleep(LOOK_INTERVAL_S)
    return Rate(rows, time.perf_counter() - begun, time.process_time() - cpu)


async def _theirs(database: Database, end: str, rows: int) -> Rate:
    where = f"host={database.host} port={database.port} dbname={database.name} user={database.user}"
    options = ("proto_version=2", f"publication_names={PUBLICATION}", "binary=true")
    before = os.times()
    begun = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(str(find_binaries() / "pg_recvlogical"), f"--dbname={where}", f"--slot={SLOT}", "--start", "--no-loop"),
        *(f"--endpos={end}", "--file=/dev/null", *(f"--option={option}" for option in options)),
        env={**os.environ, "PGPASSWORD": database.password.get_secret_value()},
    )
    async with asyncio.timeout(DRAIN_TIMEOUT_S):
        code = await process.wait()
    seconds = time.perf_counter() - begun
    after = os.times()
    if code != 0:
        raise RuntimeError(f"pg_recvlogical ended with {code}")
    used = after.children_user - before.children_user + after.children_system - before.children_system
    return Rate(rows, seconds, used)
