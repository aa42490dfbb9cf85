"""Where the real worker ends and the simulated world begins: every outside thing that a worker would make or ask.

For as long as a simulation runs, these names stand for simulated things; the process is the one whose loop runs.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from types import SimpleNamespace
from typing import Any, Final
from unittest import mock

import asyncpg
import structlog

import streams.effects.tenant
import streams.log.producer
import streams.service.worker
import streams.tenantdb.check
import streams.tenantdb.lock
import streams.tenantdb.session
from streams.catalog.entry import Database
from streams.registry.partition import OwnedPartition
from streams.tenantdb.failure import translated
from streams.tenantdb.naming import MIGRATIONS
from streams.tenantdb.provision import Provisioned
from streams.tenantdb.session import SessionLimits, short_session
from streams.worker.owners import Owners
from tests.simulation.admin import SimulatedAdmin
from tests.simulation.catalog import SimulatedView
from tests.simulation.engine import SimulatedEngine
from tests.simulation.postgres import Pool, Session
from tests.simulation.process import Life, Process
from tests.simulation.producer import SimulatedProducer

_TAKE: Final = Owners.take


class _NoThread:
    """A thread that is not needed: what it would do is an appointment."""

    def __init__(self, **_: Any) -> None:
        pass

    def start(self) -> None:
        pass

    def join(self, _timeout: float) -> None:
        pass


class _NoEvent:
    """A flag between threads, without threads."""

    def __init__(self) -> None:
        self._set = False

    def set(self) -> None:
        self._set = True

    def is_set(self) -> bool:
        return self._set


def here() -> Process:
    """The process whose callback runs."""
    process: Process = vars(asyncio.get_running_loop())["process"]
    return process


def _producer(_settings: Any) -> SimulatedProducer:
    process, world = here(), here().world
    return SimulatedProducer(world.scheduler, world.broker, process.link, world.partitions, process.passes)


def _admin(_settings: Any) -> SimulatedAdmin:
    return SimulatedAdmin(here().world.scheduler, here().world.broker, here().link, here().passes)


def _view(_configuration: Any, *arguments: Any) -> SimulatedView:
    return SimulatedView(here().world.scheduler, here().world.broker, here().link, *arguments)


def _engine(*arguments: Any) -> SimulatedEngine:
    return SimulatedEngine(here(), *arguments)


def _open_consumer(configuration: dict[str, Any]) -> Any:
    return here().reader.open_consumer(configuration)


def _read(consumer: Any, topic: str, wanted: list[Any]) -> Iterator[Any]:
    return here().reader.read(consumer, topic, wanted)


async def _connect(*, host: str, database: str, server_settings: dict[str, str], timeout: float, **_: Any) -> Session:
    """`asyncpg.connect`: one way there, one back; nobody waits longer than they said."""
    process = here()
    name = server_settings["application_name"]
    process.passes(f"connect {name.partition(':')[0]}")
    if process.life is not Life.DEAD:
        process.world.sessions.asked_for(process.member, database, name)
    return await process.world.servers[host].connect(database, name, process.link, timeout)


async def _create_pool(*, connect: Any, **_: Any) -> Pool:
    return Pool(connect)


async def _provision(database: Database, today: date, limits: SessionLimits) -> Provisioned:
    """All migrations as one statement: they have tests of their own, on a real server."""
    async with short_session(database, application_name=MIGRATIONS, limits=limits) as session:
        with translated(database, "Migrating"):
            await session.ask(lambda: None)
    return Provisioned(0, (today,), (), 1)


def _took(owners: Owners, partition: OwnedPartition) -> None:
    """`Owners.take`, seen by the world."""
    here().world.took(here(), partition)
    _TAKE(owners, partition)


def _monotonic() -> float:
    return asyncio.get_running_loop().time()


@contextmanager
def edges() -> Iterator[None]:
    """Put the simulated things in place, and take them away again."""
    clock = SimpleNamespace(monotonic=_monotonic)
    threads = SimpleNamespace(Thread=_NoThread, Event=_NoEvent)
    chance = SimpleNamespace(Random=lambda: random.Random(here().member))
    replaced: list[tuple[Any, str, Any]] = [
        (streams.service.worker, "prefix_producer", _producer),
        (streams.service.worker, "admin", _admin),
        (streams.service.worker, "CatalogView", _view),
        (streams.service.worker, "Engine", _engine),
        (streams.service.worker, "open_consumer", _open_consumer),
        (streams.service.worker, "read", _read),
        (streams.service.worker, "random", chance),
        (streams.service.worker, "gc", SimpleNamespace(set_threshold=lambda *_: None)),
        (streams.log.producer, "threading", threads),
        (streams.effects.tenant, "provision", _provision),
        (streams.tenantdb.lock, "time", clock),
        (streams.tenantdb.session, "time", clock),
        (streams.tenantdb.check, "time", clock),
        (Owners, "take", _took),
        (asyncpg, "connect", _connect),
        (asyncpg, "create_pool", _create_pool),
    ]
    usual = structlog.get_config()
    with ExitStack() as stack:
        for owner, name, simulated in replaced:
            stack.enter_context(mock.patch.object(owner, name, simulated))
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        stack.callback(structlog.configure, **usual)
        yield
