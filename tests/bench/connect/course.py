"""What is measured: the service and the bare script, on the same databases in turn."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from statemachine.events import Claimed, Event
from streams.catalog.crypto import new_key
from streams.catalog.store import Catalog
from streams.catalog.validation import validate
from streams.client import ConnectClient
from streams.demo.workers import installed_command
from streams.devstack.postgres import PostgresServer
from streams.history import History
from streams.kafka.clients import producer
from streams.settings import Settings
from streams.settings.theme import PREFIX
from streams.topics import Topics
from tests.bench.connect.databases import session
from tests.bench.connect.footprint import Footprint, footprint
from tests.bench.connect.herd import Herd, Pressure, held_in_order, judged, report_users, settled, watch_server
from tests.bench.ground import environment, topics

PARTITIONS: Final = 8
DEADLINE_S: Final = 600.0
"""How long all tenants together may take."""

SETTLED_S: Final = 2.0
"""How long a worker is left alone before it is looked at."""

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Held:
    """What it took to connect so many tenants, and what holding them costs.

    Attributes:
        tenants: how many.
        seconds: from the first command to the last tenant.
        each: seconds of each tenant, where they were connected one after another.
        before: the process without tenants.
        after: the process with all of them.
    """

    tenants: int
    seconds: float
    each: Sequence[float]
    before: Footprint
    after: Footprint

    @property
    def kilobytes(self) -> float:
        """Resident memory for one tenant."""
        return (self.after.resident_kb - self.before.resident_kb) / self.tenants

    @property
    def descriptors(self) -> float:
        """File descriptors for one tenant."""
        return (self.after.descriptors - self.before.descriptors) / self.tenants


class Course:
    """One server, one broker, and a catalog.

    Args:
        kafka: bootstrap servers.
        postgres: the server.
        directory: for what the worker keeps.
        at_once: tenants that are connected at once, on both sides.
    """

    def __init__(self, kafka: str, postgres: PostgresServer, directory: Path, at_once: int) -> None:
        self._kafka = kafka
        self._postgres = postgres
        self._directory = directory
        self._at_once = at_once

    def bare(self, databases: Sequence[str], *, one_by_one: bool) -> Held:
        """The bare script."""
        task = {
            "server": _place(self._postgres),
            "databases": databases,
            "at_once": self._at_once,
            "one_by_one": one_by_one,
        }
        command = [sys.executable, "-m", "tests.bench.connect.bare"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  this module's own
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(task) + "\n")
            process.stdin.flush()
            found = json.loads(process.stdout.readline())
            process.stdin.close()
        before, after = Footprint(**found["before"]), Footprint(**found["after"])
        return Held(len(databases), found["seconds"], found["each"], before, after)

    def ours(self, databases: Sequence[str], mode: str, progress: Progress) -> Held:
        """A worker, asked for all tenants at once; they are ready, and streamed unless ``mode`` is ``off``."""
        awaited = "connect.provisioned" if mode == "off" else "replication.started"
        with self._working(databases, mode) as (settings, pid):
            before = footprint(pid)
            follower = History(settings).follow((), "now")
            begun = time.monotonic()
            _ask(settings, databases)
            ready: set[str] = set()
            while len(ready) < len(databases):
                assert time.monotonic() - begun < DEADLINE_S, f"{len(ready)} of {len(databases)} tenants only"
                entries = (entry.event for entry in follower.poll())
                events = [event for event in entries if isinstance(event, Event)]
                ready |= {event.tenant for event in events if event.data.type == awaited}
                progress(len(ready))
            seconds = time.monotonic() - begun
            follower.close()
            _leave_alone()
            return Held(len(databases), seconds, (), before, footprint(pid))

    async def ours_one_by_one(self, databases: Sequence[str], progress: Progress) -> Held:
        """A worker, asked for one tenant after another; a tenant takes until its caller has the answer."""
        with self._working(databases, "off") as (settings, pid):
            before = footprint(pid)
            each: list[float] = []
            async with ConnectClient(settings) as client:
                await client.status(databases[0])
                for number, tenant in enumerate(databases, 1):
                    begun = time.monotonic()
                    await client.connect(tenant)
                    each.append(time.monotonic() - begun)
                    progress(number)
            return Held(len(databases), sum(each), each, before, footprint(pid))

    async def herd(self, databases: Sequence[str], used: Sequence[str]) -> Herd:
        """A worker connects whom it can and is killed; another one is asked for everybody at once."""
        pressure = Pressure()
        async with session(self._postgres, "postgres") as connection:
            with self._region(databases, "off") as (settings, variables):
                await report_users(settings, used)
                with _worker(variables, settings):
                    await settled(settings, lambda: _ask(settings, databases))
                with _worker({**variables, f"{PREFIX}WORKER_NAME": "second"}, settings, claims=2 * PARTITIONS):
                    watching = asyncio.create_task(watch_server(connection, pressure))
                    seconds = await settled(settings, lambda: _ask(settings, databases))
                    watching.cancel()
                    return judged(settings, used, await held_in_order(connection), seconds, pressure)

    @contextmanager
    def _working(self, databases: Sequence[str], mode: str) -> Iterator[tuple[Settings, int]]:
        """A worker that owns every partition of a region of its own, and its process id."""
        with self._region(databases, mode) as (settings, variables), _worker(variables, settings, stopped=True) as pid:
            _leave_alone()
            yield settings, pid

    @contextmanager
    def _region(self, databases: Sequence[str], mode: str) -> Iterator[tuple[Settings, dict[str, str]]]:
        """Topics and a catalog of their own."""
        prefix = f"bench-{secrets.token_hex(4)}"
        variables = {
            **environment(self._kafka, prefix, PARTITIONS, "bench"),
            f"{PREFIX}ENCRYPTION_KEYS": json.dumps({"k1": new_key()}),
            f"{PREFIX}EFFECTS_PER_SERVER_MAX": str(self._at_once),
            f"{PREFIX}DATA_DIR": str(self._directory / prefix),
            f"{PREFIX}DRAIN_TIMEOUT_MS": "60000",
        }
        settings = Settings.load(variables)
        with topics(settings):
            Catalog(settings).put_all([validate(_entry(self._postgres, name, mode)) for name in databases])
            yield settings, variables


@contextmanager
def _worker(
    variables: Mapping[str, str], settings: Settings, *, claims: int = PARTITIONS, stopped: bool = False
) -> Iterator[int]:
    """A worker's process id; it is killed in the end, or asked to stop."""
    command = [*installed_command(), "worker", "--log-level", "warning"]
    process = subprocess.Popen(command, env={**os.environ, **variables}, stderr=subprocess.DEVNULL)  # noqa: S603  this installation's own
    try:
        _await_claims(settings, claims)
        yield process.pid
    finally:
        (process.terminate if stopped else process.kill)()
        process.wait(DEADLINE_S)


def _await_claims(settings: Settings, number: int) -> None:
    """Wait until so many claims were ever made."""
    follower = History(settings).follow((), "start")
    claims = 0
    begun = time.monotonic()
    while claims < number:
        assert time.monotonic() - begun < DEADLINE_S, "the worker took no partitions"
        claims += sum(isinstance(entry.event, Claimed) for entry in follower.poll())
    follower.close()


def _ask(settings: Settings, tenants: Sequence[str]) -> None:
    client = producer(settings)
    for tenant in tenants:
        client.produce(Topics(settings).commands, key=tenant, value=b'{"type": "connect"}')
    client.flush()


def _leave_alone() -> None:
    # A measurement and no test: what is still on its way settles before memory is looked at.
    time.sleep(SETTLED_S)


def _place(postgres: PostgresServer) -> dict[str, Any]:
    return {"host": postgres.host, "port": postgres.port, "user": postgres.user, "password": postgres.password}


def _entry(postgres: PostgresServer, tenant: str, mode: str) -> dict[str, Any]:
    database = {**_place(postgres), "name": tenant, "tls": "disable"}
    return {"tenant": tenant, "region": "local", "database": database, "replication": {"mode": mode}}
