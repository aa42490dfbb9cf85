"""The composition root: one worker, made from the settings."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta

import structlog

from statemachine.decide import Terms
from statemachine.state import StopReason
from streams.catalog.crypto import Cipher
from streams.catalog.entry import CatalogEntry
from streams.catalog.record import decode
from streams.catalog.view import CatalogView, region_of
from streams.effects.bounds import Bounds
from streams.effects.runner import EffectRunner
from streams.effects.tenant import Means
from streams.engine.app import Engine, Shape
from streams.engine.credentials import credentials_of
from streams.errors import CatalogUnreadable, EngineStopped
from streams.kafka.clients import admin, consumer_configuration, prefix_producer
from streams.log.ends import Ends
from streams.log.producer import LogProducer
from streams.log.reader import Record, Stretch, open_consumer, read
from streams.registry.partition import Surroundings
from streams.registry.registry import Registry
from streams.service.failures import Failures
from streams.settings import Settings
from streams.tenantdb.session import SessionLimits
from streams.topics import Topics
from streams.worker.dead_letters import DeadLetters
from streams.worker.owner import Office
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
        window = timedelta(milliseconds=settings.database_recovery_window_ms)
        self._common_terms = Terms(None, settings.region, window)
        self._failures = Failures()
        self._producer = LogProducer(
            prefix_producer(settings), settings.delivery_timeout_ms / 1000, self._failures.tell
        )
        self._ends = Ends(admin(settings))
        self._view = self._create_view()
        self._effects = EffectRunner(self._create_means())
        replies = Replies(self._topics.replies, settings.partitions, self._topics.events, self._producer, self._clock)
        dead_letters = DeadLetters(self._topics.dead_letters, self._producer)
        self._owners = Owners(self._create_office(replies, dead_letters))
        self._router = Router(self._create_map(), self._view, self._producer, replies, dead_letters)
        self._engine = Engine(self._create_shape(), self._owners.decide, self._router.route, self._failures.tell)
        self._registry = self._create_registry()
        self._engine.use(self._registry)
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
        self._view.start()
        try:
            await self._until(stop)
        finally:
            await self._stop()
        if self._failures.first is not None:
            raise self._failures.first

    async def _work(self) -> None:
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
        log.info("worker.stopping", worker=self._settings.worker_name)
        deadline = asyncio.get_running_loop().time() + self._settings.drain_timeout_ms / 1000
        steps: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            ("connections", self._effects.close),
            ("engine", self._engine.stop),
            ("partitions", self._registry.close),
            ("closing", self._owners.settle),
            ("producer", self._producer.close),
            ("catalog", self._view.close),
        ]
        for index, (what, step) in enumerate(steps):
            left_s = max(0.0, deadline - asyncio.get_running_loop().time())
            # Every step gets an equal share of what is left, and what it does not use goes to those after it.
            bound_s = max(STEP_TIMEOUT_S_MIN, 2 * left_s / (len(steps) - index + 1))
            self.left_behind |= not await _finished(what, step(), bound_s)
        log.info("worker.stopped", worker=self._settings.worker_name)

    def _create_view(self) -> CatalogView:
        return CatalogView(
            consumer_configuration(self._settings, f"{self._settings.worker_name}.catalog"),
            self._topics.tenants,
            self._settings.partitions,
            self._ends,
            self._failures.tell,
            self._reconsider,
        )

    def _create_means(self) -> Means:
        settings = self._settings
        return Means(
            load=self._loader(),
            bounds=Bounds(settings.effects_per_worker_max, settings.effects_per_server_max),
            limits=SessionLimits(
                connect_ms=settings.database_connect_timeout_ms,
                statement_ms=settings.database_statement_timeout_ms,
                migration_statement_ms=settings.migrations_timeout_ms,
                close_ms=settings.database_close_timeout_ms,
            ),
            backoff_ms=(settings.database_backoff_min_ms, settings.database_backoff_max_ms),
            chance=random.Random(),  # noqa: S311  it spreads attempts and guards nothing
            today=self._today,
            failed=self._failures.tell,
        )

    def _loader(self) -> Callable[[str], Awaitable[CatalogEntry | None]]:
        cipher = Cipher(self._settings.encryption_keys)

        async def load(tenant: str) -> CatalogEntry | None:
            value = await self._view.record(tenant)
            if value is None:
                return None
            entry = decode(value, cipher)
            if entry.tenant != tenant:
                raise CatalogUnreadable(f"the record under the key {tenant!r} is tenant {entry.tenant!r}'s")
            return entry

        return load

    def _today(self) -> date:
        return self._clock().date()

    def _terms(self, tenant: str | None) -> Terms:
        if tenant is None:
            return self._common_terms
        return self._common_terms._replace(platform_region=region_of(self._view, tenant))

    def _reconsider(self, tenant: str) -> None:
        self._owners.reconsider(tenant)

    def _unwanted(self, tenant: str) -> StopReason | None:
        try:
            found = self._view.summary(tenant)
        except CatalogUnreadable as error:
            log.warning("catalog.unreadable", tenant=tenant, code=error.code)
            return None
        if found is None:
            return StopReason.REMOVED
        return StopReason.SUSPENDED if found.suspended else None

    def _create_office(self, replies: Replies, dead_letters: DeadLetters) -> Office:
        return Office(
            producer=self._producer,
            replies=replies,
            dead_letters=dead_letters,
            effects=self._effects,
            terms=self._terms,
            unwanted=self._unwanted,
            now=self._clock,
            partitions=self._settings.partitions,
            value_bytes_max=self._settings.value_bytes_max,
            waiters_per_tenant_max=self._settings.waiters_per_tenant_max,
            failed=self._failures.tell,
        )

    def _create_map(self) -> Map:
        settings = self._settings
        return Map(
            settings.region,
            settings.serving_region,
            self._topics.region_commands,
            settings.partitions,
            settings.value_bytes_max,
        )

    def _create_shape(self) -> Shape:
        settings = self._settings
        return Shape(
            group=f"{settings.topic_prefix}.{settings.region}",
            brokers=settings.kafka.split(","),
            credentials=credentials_of(settings),
            events=self._topics.events,
            region_commands=self._topics.region_commands,
            commands=self._topics.commands,
            partitions=settings.partitions,
            session_timeout_s=settings.session_timeout_ms / 1000,
            heartbeat_interval_s=settings.heartbeat_interval_ms / 1000,
            runs_in_flight_max=settings.runs_in_flight_max,
            data_dir=settings.data_dir / "faust" / settings.worker_name,
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
        )
        claim_timeout_s = self._settings.claim_timeout_ms / 1000
        return Registry(self._settings.worker_name, surroundings, claim_timeout_s, self._owners.take, self._owners.drop)

    def _read_back(self, partition: int, first: int, end: int) -> list[Record]:
        configuration = consumer_configuration(self._settings, f"{self._settings.worker_name}.gap")
        with open_consumer(configuration) as consumer:
            return list(read(consumer, self._topics.events, [Stretch(partition, first, end)]))


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
