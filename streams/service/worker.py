"""The composition root: one worker, made from the settings."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Awaitable, Callable, Collection, Iterable
from datetime import UTC, datetime
from itertools import chain

import structlog

from statemachine.errors import TenantConnectError
from statemachine.state import TenantState
from streams.catalog.view import CatalogView
from streams.effects.fences import Fences
from streams.effects.housekeeping import Housekeeping
from streams.effects.means import Means
from streams.effects.runner import EffectRunner
from streams.engine.app import Engine
from streams.engine.stall import StallWatch
from streams.errors import EngineStopped, OwnershipLost
from streams.kafka.clients import admin, consumer_configuration, prefix_producer
from streams.log.ends import Ends
from streams.log.producer import LogProducer
from streams.log.reader import Record, Stretch, open_consumer, read
from streams.metrics.metrics import Metrics
from streams.metrics.rebuild import Rebuild
from streams.registry.partition import OwnedPartition, Surroundings
from streams.registry.registry import Registry
from streams.replication.broadcaster import Broadcaster
from streams.replication.positions import Positions
from streams.service.canaries import canaries_of
from streams.service.failures import Failures
from streams.service.limits import effect_bounds, schedule_of, session_limits, shape_of, stream_limits
from streams.service.observer import RowObserver
from streams.service.rounds import Rounds
from streams.service.snapshots import snapshots_of
from streams.service.surroundings import TenantSurroundings
from streams.settings import Settings
from streams.tenantdb.migrate import read_migrations
from streams.topics import Topics
from streams.users import Users
from streams.web.server import WebServer
from streams.worker.dead_letters import DeadLetters
from streams.worker.office import Office
from streams.worker.owners import Owners
from streams.worker.replies import Replies
from streams.worker.router import Map, Router

log = structlog.get_logger(__name__)

GARBAGE_THRESHOLDS = (100_000, 20, 100)
"""Objects between collections, by generation: states and records are many, live long and form no cycles."""

STEP_TIMEOUT_S_MIN = 0.2
"""What every step of stopping gets, in seconds, even where the ones before it used all the time."""


def now() -> datetime:
    """The time, aware, in UTC."""
    return datetime.now(UTC)


class Worker:
    """Owns partitions of one region: routes and decides commands, and holds its tenants' connections.

    Args:
        settings: all of them.
        clock: gives the time, aware, in UTC.

    Attributes:
        left_behind: a step of stopping did not end in time and may still go on; only the process's end ends it.
    """

    def __init__(self, settings: Settings, clock: Callable[[], datetime] = now) -> None:
        self._settings = settings
        self._clock = clock
        self._topics = Topics(settings)
        self._failures = Failures()
        self._rounds = Rounds(self._failures.tell)
        self._producer = LogProducer(
            prefix_producer(settings), settings.delivery_timeout_ms / 1000, self._failures.tell
        )
        self._ends = Ends(admin(settings))
        self._dead_letters = DeadLetters(self._topics.dead_letters, self._producer)
        self._view = self._create_view()
        self._users = self._create_users()
        self._tenants = TenantSurroundings(settings, self._view, self._users)
        readiness = Rebuild(assigned=self._assigned, served=self._served, position=self._folded, target=self._target)
        self._metrics = Metrics(
            region=settings.region, worker=settings.worker_name, states=self._states, readiness=readiness
        )
        self._snapshots = snapshots_of(settings, self._metrics.snapshot)
        self._stall = StallWatch(readiness, settings.recovery_stall_ms / 1000, lambda: self._engine.inputs is not None)
        self._web = WebServer(settings.http_host, settings.http_port, readiness, self._metrics)
        self._broadcaster = Broadcaster(settings)
        self._positions = Positions(settings)
        self._bounds = effect_bounds(settings)
        self._starts = effect_bounds(settings)
        means = self._create_means()
        self._effects = EffectRunner(means)
        replies = Replies(self._topics.replies, settings.partitions, self._topics.events, self._producer, self._clock)
        self._owners = Owners(self._create_office(replies))
        self._housekeeping = Housekeeping(means, schedule_of(settings), means.chance, self._owners.all)
        self._router = Router(self._create_map(), self._view, self._producer, replies, self._dead_letters)
        self._engine = Engine(shape_of(settings), self._owners.decide, self._router.route, self._failures.tell)
        self._canaries = canaries_of(settings, self._engine)
        self._registry = self._create_registry()
        self._engine.use(self._registry)
        self._stopping = False
        self.left_behind = False

    @property
    def partitions(self) -> tuple[int, ...]:
        """The partitions this worker owns now."""
        return self._owners.partitions

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set.

        Raises:
            TenantConnectError: something failed that the worker cannot survive.
        """
        gc.set_threshold(*GARBAGE_THRESHOLDS)
        await self._web.start()
        self._view.start()
        self._users.start()
        self._start_rounds()
        try:
            await self._until(stop)
        finally:
            await self._stop()
        if self._failures.first is not None:
            raise self._failures.first

    async def _work(self) -> None:
        await self._snapshots.open()
        # Whoever owned a tenant without its catalog entry would take it for unknown.
        await self._view.caught_up()
        await self._engine.start()
        log.info("worker.started", worker=self._settings.worker_name, region=self._settings.region)
        await asyncio.Event().wait()

    async def _until(self, stop: asyncio.Event) -> None:
        waits = [
            asyncio.ensure_future(wait)
            for wait in (self._work(), stop.wait(), self._failures.happened.wait(), self._engine.wait_crashed())
        ]
        done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        for wait in done:
            error = wait.exception()
            if isinstance(error, Exception):
                self._failures.tell(error)
        if self._engine.crashed is not None:
            self._failures.tell(EngineStopped(f"the stream engine stopped: {self._engine.crashed!r}"))

    async def _stop(self) -> None:
        """Finish what runs, close every connection, leave the group: all within one bound."""
        self._stopping = True
        log.info("worker.stopping", worker=self._settings.worker_name)
        deadline = asyncio.get_running_loop().time() + self._settings.drain_timeout_ms / 1000
        steps: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            ("rounds", self._rounds.close),
            ("connections", self._effects.close),
            ("engine", self._engine.stop),
            ("partitions", self._registry.close),
            ("closing", self._owners.settle),
            ("snapshots", self._snapshots.close),
            ("positions", self._positions.close),
            ("broadcaster", self._broadcaster.close),
            ("producer", self._producer.close),
            ("users", self._users.close),
            ("catalog", self._view.close),
            ("web", self._web.close),
        ]
        for index, (what, step) in enumerate(steps):
            left_s = max(0.0, deadline - asyncio.get_running_loop().time())
            # Every step gets an equal share of what is left, and what it does not use goes to those after it.
            bound_s = max(STEP_TIMEOUT_S_MIN, 2 * left_s / (len(steps) - index + 1))
            self.left_behind |= not await _finished(what, step(), bound_s)
        log.info("worker.stopped", worker=self._settings.worker_name)

    def _start_rounds(self) -> None:
        settings = self._settings
        self._rounds.every(settings.users_check_interval_ms, self._owners.look)
        self._rounds.every(settings.reconnect_interval_ms, self._owners.reconnect)
        self._rounds.forever(self._housekeeping.run())
        self._rounds.forever(self._snapshots.run(self._registry))
        self._rounds.forever(self._stall.run())
        self._rounds.forever(self._canaries.run())

    def _create_view(self) -> CatalogView:
        return CatalogView(
            consumer_configuration(self._settings, f"{self._settings.worker_name}.catalog"),
            self._topics.tenants,
            self._settings.partitions,
            self._ends,
            self._failures.tell,
            self._reconsider,
        )

    def _create_users(self) -> Users:
        return Users(
            consumer_configuration(self._settings, f"{self._settings.worker_name}.users"),
            self._topics.users,
            self._settings.partitions,
            self._clock,
            edge=self._users_changed,
            unreadable=self._park_report,
            failed=self._failures.tell,
        )

    def _users_changed(self, tenant: str) -> None:
        if self._tenants.used(tenant):
            self._bounds.promote(tenant)
            self._starts.promote(tenant)
        self._owners.users_changed(tenant)

    def _park_report(self, record: Record, error: TenantConnectError) -> None:
        receipts = self._producer.receipts()
        self._dead_letters.park(self._topics.users, record.partition, record, error, receipts)
        receipts.seal()

    def _create_means(self) -> Means:
        settings = self._settings
        return Means(
            load=self._tenants.load,
            serves=self._tenants.serves,
            bounds=self._bounds,
            starts=self._starts,
            limits=session_limits(settings),
            backoff_ms=(settings.database_backoff_min_ms, settings.database_backoff_max_ms),
            chance=random.Random(),  # noqa: S311  it spreads attempts and guards nothing
            now=self._clock,
            used=self._tenants.used,
            failed=self._failures.tell,
            broadcaster=self._broadcaster,
            positions=self._positions,
            fences=Fences(self._positions, settings.partitions),
            streams=stream_limits(settings),
            observer=lambda tenant: RowObserver(tenant, self._metrics),
        )

    def _reconsider(self, tenant: str) -> None:
        self._owners.reconsider(tenant)

    def _create_office(self, replies: Replies) -> Office:
        settings = self._settings
        return Office(
            producer=self._producer,
            replies=replies,
            dead_letters=self._dead_letters,
            effects=self._effects,
            users=self._users,
            terms=self._tenants.terms,
            unwanted=self._tenants.unwanted,
            now=self._clock,
            region=settings.region,
            migrations=len(read_migrations()),
            partitions=settings.partitions,
            value_bytes_max=settings.value_bytes_max,
            waiters_per_tenant_max=settings.waiters_per_tenant_max,
            proof_age_s_max=settings.session_timeout_ms / 1000,
            failed=self._failures.tell,
            lost=self._lose,
        )

    def _lose(self, partition: int, error: OwnershipLost) -> None:
        self._engine.lose(partition, error)

    def _create_map(self) -> Map:
        settings = self._settings
        return Map(
            settings.region,
            settings.serving_region,
            self._topics.region_commands,
            settings.partitions,
            settings.value_bytes_max,
        )

    def _create_registry(self) -> Registry:
        surroundings = Surroundings(
            topic=self._topics.events,
            region=self._settings.region,
            producer=self._producer,
            ends=self._ends,
            gap=self._read_back,
            now=self._clock,
            failed=self._failures.tell,
            observed=self._metrics.observed,
        )
        claim_timeout_s = self._settings.claim_timeout_ms / 1000
        return Registry(
            self._settings.worker_name, surroundings, claim_timeout_s, self._take, self._drop, self._snapshots
        )

    def _take(self, partition: OwnedPartition) -> None:
        self._users.take(partition.state.partition)
        self._owners.take(partition)

    async def _drop(self, partition: int) -> None:
        self._users.drop(partition)
        await self._owners.drop(partition)

    def _read_back(self, partition: int, first: int, end: int) -> list[Record]:
        configuration = consumer_configuration(self._settings, f"{self._settings.worker_name}.gap")
        with open_consumer(configuration) as consumer:
            return list(read(consumer, self._topics.events, [Stretch(partition, first, end)]))

    def _assigned(self) -> Collection[int] | None:
        return None if self._stopping else self._registry.assigned

    def _served(self) -> Collection[int]:
        return {number for number, owned in self._registry.owned.items() if not owned.lost.is_set()}

    def _folded(self, partition: int) -> int:
        return self._registry.folded(partition)

    def _target(self, partition: int) -> int | None:
        return self._engine.target(partition)

    def _states(self) -> Iterable[TenantState]:
        return chain.from_iterable(owned.state.tenants.values() for owned in self._registry.owned.values())


async def _finished(what: str, work: Awaitable[None], bound_s: float) -> bool:
    """One step of stopping, and whether it ended in time.

    A step that fails or takes too long does not keep the others from their turn. It is cancelled and not waited
    for: some libraries go on for as long as they like.
    """
    step = asyncio.ensure_future(work)
    await asyncio.wait({step}, timeout=bound_s)
    if not step.done():
        step.cancel()
        log.warning("worker.stop_incomplete", what=what, error=f"not done within {bound_s:.1f} s")
        return False
    if not step.cancelled() and step.exception() is not None:
        log.warning("worker.stop_incomplete", what=what, error=repr(step.exception()))
    return True
