"""Where the real worker ends and the simulated world begins: every outside thing that a worker would make or ask.

For as long as a simulation runs, these names stand for simulated things; the process is the one whose loop runs.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final
from unittest import mock

import asyncpg
import structlog

import streams.catalog.view
import streams.effects.housekeeping
import streams.effects.runner
import streams.effects.streaming
import streams.effects.tenant
import streams.log.ends
import streams.log.producer
import streams.replication.deliveries
import streams.replication.positions
import streams.service.canaries
import streams.service.snapshots
import streams.service.worker
import streams.snapshots.loading
import streams.snapshots.marks
import streams.snapshots.snapshots
import streams.snapshots.writing
import streams.tenantdb.check
import streams.tenantdb.lock
import streams.tenantdb.session
import streams.users.view
from streams.catalog.entry import Database
from streams.errors import WaitExpired
from streams.log.reader import Stretch
from streams.registry.partition import OwnedPartition
from streams.replication.points import Points
from streams.tenantdb.failure import translated
from streams.tenantdb.naming import JANITOR, MIGRATIONS
from streams.tenantdb.partitions import Partitions
from streams.tenantdb.provision import Provisioned
from streams.tenantdb.retention import Dropped, Kept
from streams.tenantdb.session import SessionLimits, short_session
from streams.users import Users
from streams.users.following import Following
from streams.worker.owners import Owners
from tests.simulation.admin import SimulatedAdmin
from tests.simulation.catalog import CatalogConsumer
from tests.simulation.disk import SimulatedStore
from tests.simulation.engine import SimulatedEngine
from tests.simulation.gateways import SimulatedUsersSource
from tests.simulation.loop import Waiting, here
from tests.simulation.pool import Pool
from tests.simulation.postgres import MIGRATIONS as MIGRATIONS_COUNT
from tests.simulation.postgres import Session
from tests.simulation.process import Life
from tests.simulation.producer import SimulatedProducer
from tests.simulation.rows import SimulatedStream
from tests.simulation.threads import Flag, TurningThread

DAYS_FAILED_SHARE: Final = 0.1
"""Share of provisionings in which a day's partition cannot be made."""

_TAKE: Final = Owners.take
_WITH_USERS: Final = Users.tenants_with_users
_NEWS: Final = Following.take_news


class _NoThread:
    """A thread that is not needed: delivery reports come by themselves."""

    def __init__(self, **_: Any) -> None:
        pass

    def start(self) -> None:
        pass

    def join(self, _timeout: float) -> None:
        pass


def _producer(_settings: Any, **_: Any) -> SimulatedProducer:
    return here().producer()


def _nothing(*_: Any, **__: Any) -> None:
    """Canaries are sent to nobody: no simulated consumer falls silent."""


def _admin(_settings: Any, **_: Any) -> SimulatedAdmin:
    return SimulatedAdmin(here().world.scheduler, here().world.broker, here().link, here().passes)


def _catalog_consumer(_configuration: Any, *, logger: Any) -> CatalogConsumer:
    del logger
    return CatalogConsumer(here())


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


async def _create_pool(*, connect: Any, max_size: int, **_: Any) -> Pool:
    return Pool(connect, max_size)


async def _provision(database: Database, today: date, limits: SessionLimits) -> Provisioned:
    """All migrations as one statement: they have tests of their own, on a real server."""
    async with short_session(database, application_name=MIGRATIONS, limits=limits) as session:
        with translated(database, "Migrating"):
            await session.ask(lambda: None)
    failed = ((today, "no room"),) if here().world.scheduler.random.random() < DAYS_FAILED_SHARE else ()
    return Provisioned(0, 0, (today,), failed, 1)


async def _housekeep(database: Database, now: datetime, limits: SessionLimits, _retention: timedelta) -> Kept:
    """The days of a tenant's messages, as one statement."""
    async with short_session(database, application_name=JANITOR, limits=limits) as session:
        with translated(database, "Looking after messages"):
            await session.ask(lambda: None)
    return Kept(Partitions((now.date(),), ()), Dropped((), (), ()))


def _store(directory: Path) -> SimulatedStore:
    return SimulatedStore(here(), directory)


def _stretch(_consumer: Any, topic: str, partition: int) -> Stretch:
    if not here().link.hears:
        raise Waiting
    return Stretch(partition, 0, here().world.broker.end(topic, partition))


def _users_source(_configuration: Any, topic: str) -> SimulatedUsersSource:
    return SimulatedUsersSource(here(), topic)


def _read_points(_settings: Any, topic: str, partition: int, last: int, closing: Any) -> Points:
    """Read the positions of a partition up to a record that stands there."""
    if closing.is_set():
        raise WaitExpired(f"{topic}:{partition}: the worker ends")
    if not here().link.hears:
        raise Waiting
    points = Points()
    for stored in here().world.broker.partitions[topic, partition][: last + 1]:
        points.take(stored.key, stored.value, f"{topic}:{partition}:{stored.offset}")
    return points


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
    threads = SimpleNamespace(Thread=TurningThread, Event=Flag, Lock=threading.Lock)
    no_threads = SimpleNamespace(Thread=_NoThread, Event=Flag)
    chance = SimpleNamespace(Random=lambda: random.Random(here().member))
    tokens = SimpleNamespace(token_hex=lambda count: here().world.scheduler.random.randbytes(count).hex())
    # Sets of names are gone through in an order that differs from process to process; here it must not.
    disk_clock = SimpleNamespace(monotonic=_monotonic, thread_time=_monotonic, time=_monotonic)
    replaced: list[tuple[Any, str, Any]] = [
        (streams.service.worker, "prefix_producer", _producer),
        (streams.service.worker, "admin", _admin),
        (streams.service.canaries, "repeating_producer", lambda _: SimpleNamespace(poll=_nothing, produce=_nothing)),
        (streams.catalog.view, "Consumer", _catalog_consumer),
        (streams.catalog.view, "threading", threads),
        (streams.service.worker, "Engine", _engine),
        (streams.service.worker, "open_consumer", _open_consumer),
        (streams.service.worker, "read", _read),
        (streams.service.worker, "random", chance),
        (streams.service.worker, "gc", SimpleNamespace(set_threshold=lambda *_: None)),
        (streams.service.worker, "read_migrations", lambda: range(MIGRATIONS_COUNT)),
        (streams.service.snapshots, "Store", _store),
        (streams.snapshots.snapshots, "sweep", lambda *_: []),
        (streams.snapshots.writing, "time", disk_clock),
        (streams.snapshots.loading, "time", disk_clock),
        (streams.snapshots.snapshots, "time", disk_clock),
        (streams.snapshots.marks, "open_consumer", _open_consumer),
        (streams.snapshots.marks, "stretch", _stretch),
        (streams.snapshots.marks, "read", _read),
        (streams.log.producer, "threading", no_threads),
        # A third of the real one, as the session timeout is about a third of the real one's.
        (streams.log.ends, "FIRST_TIMEOUT_S", 0.3),
        (streams.log.ends, "LEADER_PAUSE_S", 0.6),
        (streams.users.view, "threading", threads),
        (streams.users.view, "UsersSource", _users_source),
        (streams.replication.deliveries, "threading", threads),
        (streams.replication.deliveries, "time", clock),
        (streams.replication.positions, "producer", _producer),
        (streams.replication.positions, "read_points", _read_points),
        (streams.replication.positions, "secrets", tokens),
        (streams.effects.streaming, "Stream", SimulatedStream),
        (streams.effects.tenant, "provision", _provision),
        (streams.effects.runner, "provision", _provision),
        (streams.effects.housekeeping, "housekeep", _housekeep),
        (streams.tenantdb.lock, "time", clock),
        (streams.tenantdb.session, "time", clock),
        (streams.tenantdb.check, "time", clock),
        (Owners, "take", _took),
        (Users, "tenants_with_users", lambda users, partition: sorted(_WITH_USERS(users, partition))),
        (Following, "take_news", lambda following: sorted(_NEWS(following))),
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
